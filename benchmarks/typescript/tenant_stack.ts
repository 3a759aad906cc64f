// The tenant's stack of cdk_app/tenant_stack.py in TypeScript: a peer to measure beside, equal in what it synthesises.
import * as cdk from "aws-cdk-lib";
import * as athena from "aws-cdk-lib/aws-athena";
import * as cloudwatch from "aws-cdk-lib/aws-cloudwatch";
import * as events from "aws-cdk-lib/aws-events";
import * as glue from "aws-cdk-lib/aws-glue";
import * as iam from "aws-cdk-lib/aws-iam";
import * as kms from "aws-cdk-lib/aws-kms";
import * as logs from "aws-cdk-lib/aws-logs";
import * as s3 from "aws-cdk-lib/aws-s3";
import * as assets from "aws-cdk-lib/aws-s3-assets";
import * as sns from "aws-cdk-lib/aws-sns";
import { Construct } from "constructs";

export type Values = any; // one tenant's row of the request: cdk_app.values.TenantValues with its names filled in
export type Site = any; // cdk_app.values.Site
export type Lists = Record<string, string[]>; // the actions of cdk_app/access.py and keys.py, by their names there

const deny = iam.Effect.DENY;
const anyone = () => [new iam.AnyPrincipal()];
const days = cdk.Duration.days;
const camel = (job: string) => job.split("_").map((word) => word[0].toUpperCase() + word.slice(1)).join("");

function plainText(action: string, resources: string[]) {
  const conditions = { Bool: { "aws:SecureTransport": "false" } };
  return new iam.PolicyStatement({ sid: "PlainText", effect: deny, principals: anyone(), actions: [action], resources, conditions });
}

function foreignTenants(site: Site, values: Values, action: string, resources: string[]) {
  const conditions = {
    ArnLike: { "aws:PrincipalArn": site.tenant_role_arns },
    ArnNotEquals: { "aws:PrincipalArn": [values.job_role_arn, values.analyst_role_arn] },
  };
  return new iam.PolicyStatement({ sid: "ForeignTenants", effect: deny, principals: anyone(), actions: [action], resources, conditions });
}

class TenantKey extends Construct {
  readonly key: kms.Key;

  constructor(scope: Construct, id: string, site: Site, values: Values) {
    super(scope, id);
    this.key = new kms.Key(this, "Key", {
      alias: values.key_alias,
      description: `Data of ${values.workgroup}`,
      enableKeyRotation: true,
      removalPolicy: cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
    });
    this.key.addToResourcePolicy(new iam.PolicyStatement({
      sid: "Logs",
      principals: [new iam.ServicePrincipal(`logs.${site.region}.amazonaws.com`)],
      actions: ["kms:Decrypt*", "kms:Describe*", "kms:Encrypt*", "kms:GenerateDataKey*", "kms:ReEncrypt*"],
      resources: ["*"],
      conditions: { ArnLike: { "kms:EncryptionContext:aws:logs:arn": [`${site.arns.logs}:log-group:${values.log_group}/*`] } },
    }));
    this.key.addToResourcePolicy(foreignTenants(site, values, "kms:*", ["*"]));
    this.key.addToResourcePolicy(new iam.PolicyStatement({
      sid: "Grants",
      effect: deny,
      principals: anyone(),
      actions: ["kms:CreateGrant"],
      resources: ["*"],
      conditions: { BoolIfExists: { "kms:GrantIsForAWSResource": "false" } },
    }));
  }
}

class Lake extends s3.Bucket {
  constructor(scope: Construct, id: string, site: Site, values: Values, key: kms.Key) {
    const expiry = (rule: string, kept: number) => ({ id: rule, prefix: `${rule}/`, expiration: days(kept) });
    super(scope, id, {
      bucketName: values.bucket,
      versioned: true,
      encryption: s3.BucketEncryption.KMS,
      encryptionKey: key,
      bucketKeyEnabled: true,
      blockPublicAccess: s3.BlockPublicAccess.BLOCK_ALL,
      objectOwnership: s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
      removalPolicy: cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
      lifecycleRules: [
        { id: "leftovers", noncurrentVersionExpiration: days(values.old_version_days), expiredObjectDeleteMarker: true, abortIncompleteMultipartUploadAfter: days(2) },
        expiry("raw", values.raw_days),
        expiry("processed", values.processed_days),
        expiry("quarantine", values.quarantine_days),
        expiry("athena-results", 7),
      ],
    });
    const everything = [this.bucketArn, this.arnForObjects("*")];
    const add = (sid: string, rest: any) =>
      this.addToResourcePolicy(new iam.PolicyStatement({ sid, effect: deny, principals: anyone(), ...rest }));
    this.addToResourcePolicy(plainText("s3:*", everything));
    add("OldTls", { actions: ["s3:*"], resources: everything, conditions: { NumericLessThan: { "s3:TlsVersion": "1.2" } } });
    (this.node.defaultChild as s3.CfnBucket).notificationConfiguration = { eventBridgeConfiguration: { eventBridgeEnabled: true } };
    this.addToResourcePolicy(foreignTenants(site, values, "s3:*", everything));
    const of = (roles: string[]) => ({ ArnEquals: { "aws:PrincipalArn": roles } });
    add("PlatformFunctions", { actions: ["s3:*"], resources: everything, conditions: of(site.function_role_arns) });
    const listed = ["s3:ListBucket", "s3:ListBucketVersions", "s3:DeleteObject"];
    add("Reconcile", { notActions: listed, resources: everything, conditions: of([site.reconcile_role_arn]) });
    const staging = [this.arnForObjects("processed/*"), this.arnForObjects("quarantine/*")];
    add("Staging", { actions: ["s3:DeleteObject"], notResources: staging, conditions: of([site.reconcile_role_arn]) });
    const header = "s3:x-amz-server-side-encryption-aws-kms-key-id";
    const others = { Null: { [header]: "false" }, StringNotEquals: { [header]: key.keyArn } };
    add("OtherKeys", { actions: ["s3:PutObject"], resources: [this.arnForObjects("*")], conditions: others });
  }
}

class ArrivalRule extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values) {
    super(scope, id);
    new events.CfnRule(this, "Rule", {
      name: values.rule,
      description: `What arrives in ${values.bucket}`,
      eventPattern: {
        source: ["aws.s3"],
        account: [site.account],
        "detail-type": ["Object Created"],
        detail: { bucket: { name: [values.bucket] }, object: { key: [{ prefix: "raw/" }, { wildcard: site.commit_objects }] } },
      },
      targets: [{
        id: "Arrivals",
        arn: `${site.arns.sqs}:${site.queue}`,
        deadLetterConfig: { arn: `${site.arns.sqs}:${site.dead_letter_queue}` },
        sqsParameters: { messageGroupId: values.tenant },
      }],
    });
  }
}

class Reach {
  readonly site: Site;
  readonly values: Values;
  readonly keyArn: string;
  readonly platformKeyArn: string;

  constructor(site: Site, values: Values, keyArn: string, platformKeyArn: string) {
    [this.site, this.values, this.keyArn, this.platformKeyArn] = [site, values, keyArn, platformKeyArn];
  }

  get bucket() { return `arn:${this.site.partition}:s3:::${this.values.bucket}`; }
  get code() { return `arn:${this.site.partition}:s3:::${this.site.code_bucket}`; }
  get ledger() { return `${this.site.arns.dynamodb}:table/${this.site.ledger}`; }
  get workgroup() { return `${this.site.arns.athena}:workgroup/${this.values.workgroup}`; }
  get athenaCatalog() { return `${this.site.arns.athena}:datacatalog/AwsDataCatalog`; }
  get logs() { return `${this.site.arns.logs}:log-group:${this.values.log_group}/*`; }
  get catalog() {
    const glueOf = (what: string) => `${this.site.arns.glue}:${what}`;
    return [glueOf("catalog"), glueOf(`database/${this.values.database}`), glueOf(`table/${this.values.database}/*`)];
  }
  get defaultDatabase() { return [`${this.site.arns.glue}:catalog`, `${this.site.arns.glue}:database/default`]; }
  get datasetTables() {
    return this.values.datasets.flatMap((name: string) => [name, `${name}_quarantine`])
      .map((name: string) => `${this.site.arns.glue}:table/${this.values.database}/${name}`);
  }
  get ownRows() {
    return { "ForAllValues:StringLike": { "dynamodb:LeadingKeys": [`${this.values.rows}*`] }, Null: { "dynamodb:LeadingKeys": "false" } };
  }
  get ownDescription() { return { "ForAnyValue:StringLike": { "dynamodb:LeadingKeys": [`${this.values.rows}META*`] } }; }
  objects(...zones: string[]) { return zones.map((zone) => `${this.bucket}/${zone}*`); }
  through(...services: string[]) {
    return { StringEquals: { "kms:ViaService": services.map((service) => `${service}.${this.site.region}.amazonaws.com`) } };
  }
}

const allow = (sid: string, actions: string[], resources: string[], conditions?: any) =>
  new iam.PolicyStatement({ sid, actions, resources, conditions });
const denied = (sid: string, actions: string[], resources: string[], conditions?: any) =>
  new iam.PolicyStatement({ sid, effect: deny, actions, resources, conditions });
const metrics = () => allow("Metrics", ["cloudwatch:PutMetricData"], ["*"], { StringEquals: { "cloudwatch:namespace": "Glue" } });

function listing(reach: Reach, ...zones: string[]) {
  const prefixes = zones.flatMap((zone) => [zone.slice(0, -1), `${zone}*`]);
  return allow("Listing", ["s3:ListBucket"], [reach.bucket], { StringLike: { "s3:prefix": prefixes } });
}

class Boundary extends Construct {
  readonly policy: iam.ManagedPolicy;

  constructor(scope: Construct, id: string, reach: Reach, a: Lists) {
    super(scope, id);
    this.policy = new iam.ManagedPolicy(this, "Policy", {
      managedPolicyName: reach.values.boundary,
      description: `Boundary of the roles of ${reach.values.tenant}`,
      statements: [
        allow("Bucket", a.BUCKET_SEEN, [reach.bucket]),
        allow("Objects", [...a.OBJECTS_READ, ...a.OBJECTS_WRITTEN, ...a.OBJECTS_DELETED], [`${reach.bucket}/*`]),
        allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.keyArn], reach.through("athena", "s3")),
        allow("Catalog", [...a.CATALOG_READ, ...a.TABLES_WRITTEN, ...a.TABLES_DROPPED, ...a.PARTITIONS_WRITTEN], reach.catalog),
        allow("Workgroup", a.SQL, [reach.workgroup]),
        allow("Logs", a.LOGS_WRITTEN, [reach.logs]),
        allow("Code", ["s3:GetObject"], [`${reach.code}/*`]),
        allow("PlatformKey", a.USE_OF_TABLE, [reach.platformKeyArn], reach.through("dynamodb", "s3")),
        allow("OwnRows", [...a.ROWS_READ, ...a.ROWS_WRITTEN], [reach.ledger], reach.ownRows),
        allow("Ledger", ["dynamodb:DescribeTable"], [reach.ledger]),
        allow("DefaultDatabase", ["glue:GetDatabase"], reach.defaultDatabase),
        allow("CatalogShown", a.CATALOG_SHOWN, [reach.athenaCatalog]),
        metrics(),
        new iam.PolicyStatement({ sid: "OtherWorkgroups", effect: deny, actions: ["athena:*"], notResources: [reach.workgroup, reach.athenaCatalog] }),
        denied("OtherAccounts", ["s3:*"], ["*"], { StringNotEquals: { "s3:ResourceAccount": reach.site.account } }),
        denied("PlainText", ["*"], ["*"], { Bool: { "aws:SecureTransport": "false" } }),
        denied("Suspended", ["*"], ["*"], { StringEquals: { "aws:PrincipalAccount": reach.values.denied_account } }),
      ],
    });
  }
}

class JobRole extends Construct {
  readonly role: iam.Role;

  constructor(scope: Construct, id: string, reach: Reach, a: Lists, boundary: iam.IManagedPolicy) {
    super(scope, id);
    this.role = new iam.Role(this, "Role", {
      roleName: reach.values.job_role,
      description: `Jobs of ${reach.values.tenant}`,
      assumedBy: new iam.ServicePrincipal("glue.amazonaws.com", {
        conditions: {
          StringEquals: { "aws:SourceAccount": reach.site.account },
          ArnLike: { "aws:SourceArn": `${reach.site.arns.glue}:*` },
        },
      }),
      permissionsBoundary: boundary,
    });
    const zones = ["raw/", "processed/", "quarantine/", "analytics-ready/"];
    for (const statement of [
      allow("Objects", a.OBJECTS_READ, reach.objects(...zones)),
      allow("Outputs", a.OBJECTS_WRITTEN, reach.objects("processed/", "quarantine/", "analytics-ready/")),
      allow("TableFiles", a.OBJECTS_DELETED, reach.objects("analytics-ready/")),
      listing(reach, ...zones),
      allow("Region", ["s3:GetBucketLocation"], [reach.bucket]),
      allow("Code", ["s3:GetObject"], [`${reach.code}/*`]),
      allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.keyArn], reach.through("s3")),
      allow("CodeKey", ["kms:Decrypt"], [reach.platformKeyArn], reach.through("s3")),
      allow("OwnRows", [...a.ROWS_READ, ...a.ROWS_WRITTEN], [reach.ledger], reach.ownRows),
      allow("Ledger", ["dynamodb:DescribeTable"], [reach.ledger]),
      denied("OwnDescription", a.ROWS_WRITTEN, [reach.ledger], reach.ownDescription),
      allow("LedgerKey", a.USE_OF_TABLE, [reach.platformKeyArn], reach.through("dynamodb")),
      allow("Catalog", [...a.CATALOG_READ, ...a.TABLES_WRITTEN, ...a.PARTITIONS_WRITTEN], reach.catalog),
      allow("DefaultDatabase", ["glue:GetDatabase"], reach.defaultDatabase),
      allow("Logs", a.LOGS_WRITTEN, [reach.logs]),
      metrics(),
    ]) this.role.addToPolicy(statement);
  }
}

class AnalystRole extends Construct {
  constructor(scope: Construct, id: string, reach: Reach, a: Lists, boundary: iam.IManagedPolicy) {
    super(scope, id);
    const role = new iam.Role(this, "Role", {
      roleName: reach.values.analyst_role,
      description: `Queries of ${reach.values.tenant}`,
      assumedBy: new iam.AccountPrincipal(reach.site.account),
      permissionsBoundary: boundary,
    });
    const written = [...a.TABLES_WRITTEN, ...a.PARTITIONS_WRITTEN, ...a.TABLES_DROPPED];
    const zones = ["analytics-ready/", "quarantine/", "athena-results/"];
    for (const statement of [
      allow("Sql", a.SQL, [reach.workgroup]),
      allow("CatalogShown", a.CATALOG_SHOWN, [reach.athenaCatalog]),
      allow("Objects", ["s3:GetObject"], reach.objects(...zones)),
      allow("Results", [...a.OBJECTS_WRITTEN, ...a.OBJECTS_DELETED], reach.objects("athena-results/")),
      listing(reach, ...zones),
      allow("Region", ["s3:GetBucketLocation"], [reach.bucket]),
      allow("Key", ["kms:Decrypt", "kms:GenerateDataKey"], [reach.keyArn], reach.through("athena", "s3")),
      allow("Catalog", [...a.CATALOG_READ, ...written], reach.catalog),
      allow("DefaultDatabase", ["glue:GetDatabase"], reach.defaultDatabase),
      denied("DatasetTables", written, reach.datasetTables),
    ]) role.addToPolicy(statement);
  }
}

class Access extends Construct {
  readonly jobRole: iam.Role;

  constructor(scope: Construct, id: string, reach: Reach, actions: Lists) {
    super(scope, id);
    const boundary = new Boundary(this, "Boundary", reach, actions).policy;
    this.jobRole = new JobRole(this, "Job", reach, actions, boundary).role;
    new AnalystRole(this, "Analyst", reach, actions, boundary);
  }
}

class Catalog extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values) {
    super(scope, id);
    const columns = (types: Record<string, string>) => Object.entries(types).map(([name, type]) => ({ name, type }));
    const parquet = "org.apache.hadoop.hive.ql.io.parquet";
    const database = new glue.CfnDatabase(this, "Database", {
      catalogId: site.account,
      databaseInput: { name: values.database, locationUri: `s3://${values.bucket}/analytics-ready/` },
    });
    database.applyRemovalPolicy(cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE);
    for (const dataset of values.datasets) {
      new glue.CfnTable(this, `Quarantine-${dataset}`, {
        catalogId: site.account,
        databaseName: values.database,
        tableInput: {
          name: `${dataset}_quarantine`,
          description: `Rows and files of ${dataset} that were refused, with the reasons`,
          tableType: "EXTERNAL_TABLE",
          parameters: { classification: "parquet", EXTERNAL: "TRUE" },
          partitionKeys: columns(site.quarantine_partitions),
          storageDescriptor: {
            columns: columns(site.quarantine_columns),
            location: `s3://${values.bucket}/quarantine/${dataset}/`,
            inputFormat: `${parquet}.MapredParquetInputFormat`,
            outputFormat: `${parquet}.MapredParquetOutputFormat`,
            serdeInfo: { serializationLibrary: `${parquet}.serde.ParquetHiveSerDe`, parameters: { "serialization.format": "1" } },
          },
        },
      }).addResourceDependency(database);
    }
  }
}

class Queries extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values, keyArn: string) {
    super(scope, id);
    const workgroup = new athena.CfnWorkGroup(this, "Workgroup", {
      name: values.workgroup,
      state: values.workgroup_state,
      recursiveDeleteOption: false,
      workGroupConfiguration: {
        enforceWorkGroupConfiguration: true,
        publishCloudWatchMetricsEnabled: true,
        bytesScannedCutoffPerQuery: values.query_bytes_limit,
        engineVersion: { selectedEngineVersion: "Athena engine version 3" },
        resultConfiguration: {
          outputLocation: `s3://${values.bucket}/athena-results/`,
          expectedBucketOwner: site.account,
          encryptionConfiguration: { encryptionOption: "SSE_KMS", kmsKey: keyArn },
        },
      },
    });
    cdk.Tags.of(workgroup).add("lake:query-role", values.analyst_role_arn);
    for (const query of values.queries) {
      new athena.CfnNamedQuery(this, `Query-${query.name}`, {
        name: query.name,
        description: query.description,
        database: values.database,
        queryString: query.sql,
        workGroup: workgroup.name,
      }).addResourceDependency(workgroup);
    }
  }
}

class JobCode extends Construct {
  readonly library: assets.Asset;
  readonly scripts: Record<string, assets.Asset>;

  constructor(scope: Construct, id: string, code: any) {
    super(scope, id);
    this.library = new assets.Asset(this, "Library", { path: code.library });
    this.scripts = Object.fromEntries(
      Object.entries<string>(code.scripts).map(([name, path]) => [name, new assets.Asset(this, camel(name), { path })]),
    );
  }
}

class Jobs extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values, code: JobCode, version: string, roleArn: string) {
    super(scope, id);
    const defaultArguments = {
      "--job-language": "python",
      "--job-bookmark-option": "job-bookmark-disable",
      "--extra-py-files": code.library.s3ObjectUrl,
      "--datalake-formats": "iceberg",
      "--conf": "spark.sql.extensions=org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
      "--enable-auto-scaling": "true",
      "--enable-continuous-cloudwatch-log": "true",
      "--custom-logGroup-prefix": values.log_group,
      "--enable-metrics": "true",
      "--enable-observability-metrics": "true",
      "--tenant": values.tenant,
      "--bucket": values.bucket,
      "--database": values.database,
      "--ledger": site.ledger,
      "--account": site.account,
      "--code": version,
    };
    const define = (script: string, numberOfWorkers: number, maxConcurrentRuns: number) =>
      new glue.CfnJob(this, camel(script), {
        name: values.jobs[script],
        role: roleArn,
        command: { name: "glueetl", pythonVersion: "3", scriptLocation: code.scripts[script].s3ObjectUrl },
        defaultArguments,
        glueVersion: "5.1",
        workerType: values.worker_type,
        numberOfWorkers,
        maxRetries: 0,
        timeout: 120,
        executionProperty: { maxConcurrentRuns },
      });
    define("raw_to_processed", values.workers, values.max_concurrent_runs);
    define("processed_to_analytics", values.workers, values.max_concurrent_runs);
    define("maintain", 2, 1);
  }
}

class JobLogs extends Construct {
  constructor(scope: Construct, id: string, values: Values, key: kms.Key) {
    super(scope, id);
    for (const stream of ["output", "error"]) {
      new logs.LogGroup(this, camel(stream), {
        logGroupName: `${values.log_group}/${stream}`,
        retention: logs.RetentionDays.THREE_MONTHS,
        encryptionKey: key,
        removalPolicy: cdk.RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE,
      });
    }
  }
}

class OwnerAlerts extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values, platformKeyArn: string) {
    super(scope, id);
    const topic = new sns.Topic(this, "Topic", { topicName: values.topic });
    (topic.node.defaultChild as sns.CfnTopic).kmsMasterKeyId = platformKeyArn;
    topic.addToResourcePolicy(plainText("sns:Publish", [topic.topicArn]));
    topic.addToResourcePolicy(new iam.PolicyStatement({
      sid: "Cloudwatch",
      principals: [new iam.ServicePrincipal("cloudwatch.amazonaws.com")],
      actions: ["sns:Publish"],
      resources: [topic.topicArn],
      conditions: {
        StringEquals: { "aws:SourceAccount": site.account },
        ArnLike: { "aws:SourceArn": `${site.arns.cloudwatch}:alarm:${values.workgroup}-*` },
      },
    }));
    new sns.CfnSubscription(this, "Mail", { topicArn: topic.topicArn, protocol: "email", endpoint: values.owner });
  }
}

class TenantAlarms extends Construct {
  constructor(scope: Construct, id: string, site: Site, values: Values) {
    super(scope, id);
    const alarm = (name: string, dimensions: Record<string, string>, rest: any, topics: string[] = []) =>
      new cloudwatch.CfnAlarm(this, name, {
        dimensions: Object.entries(dimensions).map(([key, value]) => ({ name: key, value })),
        statistic: "Sum",
        period: 300,
        evaluationPeriods: 1,
        threshold: 1,
        comparisonOperator: "GreaterThanOrEqualToThreshold",
        treatMissingData: "notBreaching",
        alarmActions: [site.topic, ...topics].map((topic) => `${site.arns.sns}:${topic}`),
        ...rest,
      });
    alarm("Arrivals", { RuleName: values.rule }, {
      alarmName: `${values.rule}-undelivered`,
      alarmDescription: "EventBridge could not hand events of this tenant to the queue",
      namespace: "AWS/Events",
      metricName: "FailedInvocations",
    });
    alarm("Scanned", { WorkGroup: values.workgroup }, {
      alarmName: `${values.workgroup}-scanned`,
      alarmDescription: "A day's queries of this tenant scanned ten times what one query may",
      namespace: "AWS/Athena",
      metricName: "ProcessedBytes",
      period: 86400,
      threshold: values.daily_bytes_alarm,
    }, [values.topic]);
    for (const job of ["raw_to_processed", "processed_to_analytics"]) {
      alarm(`${camel(job)}Tasks`, { JobName: values.jobs[job], JobRunId: "ALL", Type: "count" }, {
        alarmName: `${values.jobs[job]}-failed-tasks`,
        alarmDescription: `Tasks of ${values.jobs[job]} fail`,
        namespace: "Glue",
        metricName: "glue.driver.aggregate.numFailedTasks",
      });
    }
  }
}

export class TenantStack extends cdk.Stack {
  constructor(scope: Construct, id: string, site: Site, values: Values, code: any, actions: Lists) {
    super(scope, id, {
      stackName: values.stack,
      description: `Tenant ${values.tenant} of ${site.organization} in ${site.environment}`,
      env: { account: site.account, region: site.region },
      terminationProtection: site.termination_protection,
      synthesizer: new cdk.DefaultStackSynthesizer({ fileAssetsBucketName: site.code_bucket }),
    });
    const key = new TenantKey(this, "TenantKey", site, values).key;
    new Lake(this, "Lake", site, values, key);
    new ArrivalRule(this, "ArrivalRule", site, values);
    const platformKeyArn = cdk.Fn.importValue(site.key_export);
    const access = new Access(this, "Access", new Reach(site, values, key.keyArn, platformKeyArn), actions);
    new Catalog(this, "Catalog", site, values);
    new Queries(this, "Queries", site, values, key.keyArn);
    new Jobs(this, "Jobs", site, values, new JobCode(this, "Code", code), code.version, access.jobRole.roleArn);
    new JobLogs(this, "JobLogs", values, key);
    new OwnerAlerts(this, "Alerts", site, values, platformKeyArn);
    new TenantAlarms(this, "Alarms", site, values);
    for (const [name, value] of Object.entries<string>({ ...site.tags, tenant: values.tenant })) cdk.Tags.of(this).add(name, value);
  }
}
