// Programs of others that tests run: where they are, and why a test is skipped when they are not (scripts/test-setup.mjs).

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const INSTALLED = 'node_modules/.package-lock.json'

type Tool = 'apps' | 'nodes' | 'pm2' | 'pm2-old'

/** Options for a test that needs one of the folders in `tools/`: skips it, with the command that brings it. */
export const needsTool = (tool: Tool): { skip: string } | Record<string, never> =>
  existsSync(resolve('tools', tool, INSTALLED))
    ? {}
    : { skip: `tools/${tool} is missing; bring it: npm ci --prefix tools/${tool}` }

/** The file that a tool's command runs, such as `toolCommand('pm2', 'pm2')`. */
export const toolCommand = (tool: 'apps' | 'pm2', command: string): string =>
  resolve('tools', tool, 'node_modules/.bin', command)

/** pm2 of that major version: 7 in `tools/pm2`, older ones in `tools/pm2-old`. */
export const pm2Command = (major: 5 | 6 | 7): string =>
  major === 7 ? toolCommand('pm2', 'pm2') : resolve(`tools/pm2-old/node_modules/pm2-${major}/bin/pm2`)

/** Another version of Node than the one that runs this, in `tools/nodes`. */
export const otherNode = (): string => resolve('tools/nodes/node_modules/node24/bin/node')

/** Options for a test that needs a Debian package, by a file of it: skips it, with the command that brings it. */
export const needsPackage = (name: string, file: string): { skip: string } | Record<string, never> =>
  existsSync(file) ? {} : { skip: `${name} is missing; bring it: apt-get install -y ${name}` }
