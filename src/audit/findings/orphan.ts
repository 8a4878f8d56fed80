// A process that a worker of this supervisor began, that outlived it, and that still holds connections.

import type { Finding } from '../../shared/finding.js'
import { type AuditedTree, many } from '../audited-tree.js'

export const orphans = ({ facts, sockets, who, role, isStill }: AuditedTree): Finding[] =>
  facts.look.processes
    .filter(({ pid }) => role(pid) === 'orphan')
    .flatMap(({ pid }): Finding[] => {
      const own = sockets.filter((each) => each.pid === pid && isStill(pid, each.socket))
      const held = own.filter((each) => each.direction === 'outgoing' || each.direction === 'accepted')
      const listening = own.filter((each) => each.direction === 'listening')
      if (held.length + listening.length === 0) return []
      const endpoints = [...new Set(held.flatMap(({ endpoint }) => endpoint ?? []))]
      const to =
        endpoints.length === 0
          ? ''
          : ` to ${endpoints.slice(0, 3).join(', ')}${endpoints.length > 3 ? ', …' : ''}`
      const what = [
        ...(held.length === 0 ? [] : [`${many(held.length, 'connection')}${to}`]),
        ...(listening.length === 0 ? [] : [many(listening.length, 'listener')]),
      ].join(' and ')
      return [
        {
          kind: 'orphan',
          severity: 'problem',
          who: who(pid),
          pid,
          endpoint: endpoints[0] ?? null,
          what: `outlived the worker of this supervisor that started it, and holds ${what}`,
          todo: `end it: kill ${pid}; and have the worker end it in onShutdown(), or start it so that it ends with its parent`,
          count: held.length + listening.length,
        },
      ]
    })
