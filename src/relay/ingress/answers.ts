// What became of messages, as the ingress says it: status, headers and JSON of each answer that is no problem. Pure.

import type { AppendOutcome, Fate, Refusal } from '../messages.js'
import { later, type Problem, problem } from './problem.js'

export interface Answer {
  status: number
  /** Names and values in turn; type and length are added. */
  headers: string[]
  body: string
}

/** Of one message that is on disk and not yet settled. */
export const queuedAnswer = (client: string, id: string, wait: number, isDuplicate: boolean): Answer => ({
  status: 202,
  headers: messageHeaders(client, id, wait),
  body: `{"id":${JSON.stringify(id)},"state":"queued"${isDuplicate ? ',"duplicate":true' : ''}}\n`,
})

/** Of one message that is settled. */
export const settledAnswer = (client: string, fate: Fate, wait: number, isDuplicate: boolean): Answer => {
  const { id, state, reason, receipt } = fate
  const body = {
    id,
    state,
    ...(receipt === null ? {} : { receipt }),
    ...(reason === null ? {} : { reason }),
    ...(isDuplicate ? { duplicate: true } : {}),
  }
  return { status: 200, headers: messageHeaders(client, id, wait), body: `${JSON.stringify(body)}\n` }
}

export const fateAnswer = (fate: Fate): Answer => ({
  status: 200,
  headers: ['Cache-Control', 'no-store'],
  body: `${JSON.stringify(fate)}\n`,
})

export const clientsAnswer = (clients: readonly string[]): Answer => ({
  status: 200,
  headers: ['Cache-Control', 'no-store'],
  body: `${JSON.stringify({ clients })}\n`,
})

/** 202 when all were taken, 207 when some were not; when none was, why the first one was not. */
export const batchAnswer = (client: string, outcomes: readonly AppendOutcome[]): Answer | Problem => {
  const results = outcomes.map(resultOf)
  const failed = outcomes.filter(isFailed)
  const [first] = failed
  if (first !== undefined && failed.length === outcomes.length) {
    const why = refusalOf(first)
    return { ...why, detail: `none was taken: ${why.detail}`, more: { results } }
  }
  return {
    status: first === undefined ? 202 : 207,
    headers: [],
    body: `${JSON.stringify({ client, results })}\n`,
  }
}

/** Why one message was not taken. */
export const refusalOf = (outcome: AppendOutcome & { outcome: 'conflict' | 'refused' }): Problem =>
  outcome.outcome === 'conflict' ? conflict() : refused(outcome.refusal)

const isFailed = (outcome: AppendOutcome): outcome is AppendOutcome & { outcome: 'conflict' | 'refused' } =>
  outcome.outcome === 'conflict' || outcome.outcome === 'refused'

const resultOf = (outcome: AppendOutcome): Record<string, unknown> => {
  const { id } = outcome
  if (outcome.outcome === 'accepted') return { id, state: 'queued' }
  if (outcome.outcome === 'duplicate') return { id, state: outcome.fate.state, duplicate: true }
  const { code, detail, retryAfter } = refusalOf(outcome)
  return { id, error: retryAfter === undefined ? { code, detail } : { code, detail, retryAfter } }
}

const conflict = (): Problem =>
  problem(
    409,
    'FORKSAFE_ERR_RELAY_CONFLICT',
    'another message with this id and other content was accepted before; give each message an id of its own',
  )

const STATUS_OF: Record<Refusal['code'], number> = {
  FORKSAFE_ERR_RELAY_FULL: 503,
  FORKSAFE_ERR_RELAY_DISK_FULL: 507,
  FORKSAFE_ERR_RELAY_DISK: 503,
  FORKSAFE_ERR_RELAY_UNAVAILABLE: 503,
}

const refused = ({ code, message, retryAfter }: Refusal): Problem =>
  later(STATUS_OF[code], code, message, Math.max(1, Math.ceil(retryAfter)))

const messageHeaders = (client: string, id: string, wait: number): string[] => {
  const location = ['Location', `/v1/${client}/messages/${encodeURIComponent(id)}`]
  return wait === 0 ? location : [...location, 'Preference-Applied', `wait=${wait}`]
}
