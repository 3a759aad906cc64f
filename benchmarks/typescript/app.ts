// A CDK app of a stack per tenant: reads what benchmarks/peers.py writes to stdin, synthesises into CDK_OUTDIR.
import { readFileSync } from "node:fs";
import * as cdk from "aws-cdk-lib";
import { TenantStack } from "./tenant_stack.ts";

const asked = JSON.parse(readFileSync(0, "utf8"));
const app = new cdk.App({ context: asked.context, outdir: process.env.CDK_OUTDIR });
const platform = new cdk.Stack(app, asked.site.stack, { env: { account: asked.site.account, region: asked.site.region } });
for (const values of asked.tenants) {
  new TenantStack(app, values.stack, asked.site, values, asked.code, asked.actions).addStackDependency(platform);
}
app.synth();
