// Programs of others that tests run: where they are, and why a test is skipped when they are not (scripts/test-setup.mjs).

import { existsSync } from 'node:fs'
import { resolve } from 'node:path'

const INSTALLED = 'node_modules/.package-lock.json'

/** Options for a test that needs `tools/apps`, `tools/nodes` or `tools/pm2`: skips it, with the command that brings them. */
export const needsTool = (tool: 'apps' | 'nodes' | 'pm2'): { skip: string } | Record<string, never> =>
  existsSync(resolve('tools', tool, INSTALLED))
    ? {}
    : { skip: `tools/${tool} is missing; bring it: npm ci --prefix tools/${tool}` }

/** The file that a tool's command runs, such as `toolCommand('pm2', 'pm2')`. */
export const toolCommand = (tool: 'apps' | 'pm2', command: string): string =>
  resolve('tools', tool, 'node_modules/.bin', command)

/** Another version of Node than the one that runs this, in `tools/nodes`. */
export const otherNode = (): string => resolve('tools/nodes/node_modules/node24/bin/node')

/** Options for a test that needs a Debian package, by a file of it: skips it, with the command that brings it. */
export const needsPackage = (name: string, file: string): { skip: string } | Record<string, never> =>
  existsSync(file) ? {} : { skip: `${name} is missing; bring it: apt-get install -y ${name}` }
