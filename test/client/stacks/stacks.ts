// Servers of other people, each a program in fixtures/ that records what arrives (see recording-server.ts).

import { fileURLToPath } from 'node:url'
import { needsPackage } from '../../support/tools.js'

export interface Stack {
  name: string
  command: readonly string[]
  /** For a test that runs it. */
  needs: { skip: string } | Record<string, never>
}

const fixture = (file: string): string => fileURLToPath(new URL(`fixtures/${file}`, import.meta.url))

/** The interpreter that Debian's modules are for; another one may come first in PATH. */
const PYTHON = '/usr/bin/python3'

const python = (module: string): Stack => ({
  name: module,
  command: [PYTHON, fixture(`${module}-server.py`)],
  needs: needsPackage(`python3-${module}`, `/usr/lib/python3/dist-packages/${module}/__init__.py`),
})

export const WS: Stack = { name: 'ws', command: [process.execPath, fixture('ws-server.js')], needs: {} }

export const STACKS: readonly Stack[] = [
  WS,
  python('websockets'),
  python('aiohttp'),
  python('tornado'),
  {
    name: 'mojolicious',
    command: ['/usr/bin/perl', fixture('mojolicious-server.pl')],
    needs: needsPackage('libmojolicious-perl', '/usr/share/perl5/Mojolicious.pm'),
  },
]
