// supervisor publish: hands messages to a running relay, from a shell or cron. What goes over the socket: src/relay.

import { isUtf8 } from 'node:buffer'
import { Option } from 'commander'
import { type BatchResult, type Published, publish, publishBatch } from '../../relay/publish.js'
import type { BatchMessage } from '../../relay/publish-options.js'
import { show } from '../../shared/duration.js'
import { ForksafeError } from '../../shared/errors.js'
import type { Call, Command } from '../command.js'

/** A request to the relay holds at most that many lines, and bytes of them. */
const BATCH = { lines: 10_000, bytes: 8 * 1024 * 1024 }
const MAX_MESSAGE = 64 * 1024 * 1024

export const publishCommand: Command = {
  name: 'publish',
  operands: '<client> [message]',
  summary: 'hand a message to a running relay, which keeps it on disk until it has arrived',
  examples: [
    `supervisor publish feed '{"order":17}'                  a text message, safe on disk when this ends`,
    'supervisor publish feed - < report.json                 the message is stdin, byte for byte',
    'supervisor publish feed ping --wait 5s                  and say within 5 s whether it has arrived',
    'supervisor publish feed ping --id nightly-2026-01-31    a second run of the same job publishes nothing',
    'supervisor publish feed --batch < lines.ndjson          a line each: {"data":"…","id":"…","ttl":60,"key":"…"}',
    '',
    'Ends with 0 when all is on disk, 1 when something was refused or given up, 3 when no relay is there, 4 without an answer in time.',
  ],
  options: [
    new Option('--id <id>', 'by which a repetition is known (default: a new one)'),
    new Option('--ttl <duration>', 'how long it is of use; what could not be sent by then is not sent'),
    new Option('--key <key>', 'what it keeps its order with'),
    new Option('--wait <duration>', 'wait for the proof that it has arrived, at most 5m'),
    new Option('--binary', 'as a binary frame'),
    new Option('--batch', 'many messages from stdin, a JSON object a line'),
    new Option('--name <name>', 'which relay (default: $FORKSAFE_RELAY, else relay)'),
    new Option(
      '--socket <path>',
      'its socket, or http://127.0.0.1:PORT with the token in $FORKSAFE_RELAY_TOKEN',
    ),
    new Option(
      '--timeout <duration>',
      'how long to try where no relay is there or it has no room (default: 10s)',
    ),
  ],
  mistake: 2,
  run: (call) => (call.flags.batch === true ? runBatch(call) : runOne(call)),
}

const runOne = async (call: Call): Promise<number> => {
  const { flags, operands, isJson, screen } = call
  const [client = '', given] = operands
  const isBinary = flags.binary === true
  const message = given === undefined || given === '-' ? await readStdin() : given
  if (message.length === 0) throw mistake('the message is empty')
  if (typeof message !== 'string' && !isBinary && !isUtf8(message))
    throw mistake('the message is not valid UTF-8; send it with --binary')
  const published = await publish(client, message, {
    ...callOptions(call),
    ...texts(flags, ['id', 'ttl', 'key', 'wait']),
    binary: isBinary,
  })
  if (isJson) screen.json(published)
  else screen.line(describe(published))
  return isGivenUp(published.state) ? 1 : 0
}

const runBatch = async (call: Call): Promise<number> => {
  const { flags, operands, isJson, screen } = call
  const [client = '', more] = operands
  if (more !== undefined && more !== '-') throw mistake('with --batch the messages are read from stdin')
  for (const flag of ['id', 'ttl', 'key', 'wait', 'binary']) {
    if (flags[flag] !== undefined)
      throw mistake(`--${flag} is of one message; with --batch each line has its own`)
  }
  const messages = readLines((await readStdin()).toString('utf8'))
  if (messages.length === 0) throw mistake('stdin holds no line')
  let taken = 0
  let refused = 0
  for (const part of partsOf(messages)) {
    try {
      for (const result of await publishBatch(client, part, callOptions(call))) {
        if (isBad(result)) refused++
        else taken++
        if (isJson) screen.json(result)
        else if ('error' in result) screen.complain(`${result.id}: ${result.error.detail}`)
      }
    } catch (error) {
      if (taken + refused > 0) screen.complain(`${taken} messages were taken before this failed`)
      throw error
    }
  }
  if (!isJson)
    screen.line(refused === 0 ? `${taken} taken` : `${taken} taken, ${refused} refused or given up`)
  return refused === 0 ? 0 : 1
}

const callOptions = ({ flags }: Call): { name?: string; socket?: string; timeout?: string } =>
  texts(flags, ['name', 'socket', 'timeout'])

const texts = <Key extends string>(
  flags: Call['flags'],
  keys: readonly Key[],
): Partial<Record<Key, string>> => {
  const found: Partial<Record<Key, string>> = {}
  for (const key of keys) {
    const value = flags[key]
    if (typeof value === 'string') found[key] = value
  }
  return found
}

const describe = ({ id, state, receipt, reason, duplicate }: Published): string => {
  const about = [
    receipt === undefined ? '' : `in ${Math.round(receipt.rtt)} ms`,
    reason ?? '',
    duplicate ? 'a repetition: nothing was added' : '',
  ].filter((text) => text !== '')
  return `${state} ${id}${about.length === 0 ? '' : ` (${about.join('; ')})`}`
}

const isGivenUp = (state: Published['state']): boolean => state !== 'queued' && state !== 'delivered'

const isBad = (result: BatchResult): boolean => 'error' in result || isGivenUp(result.state)

/** Here and not by the relay alone, so that each gets its id before the first attempt. */
const readLines = (text: string): BatchMessage[] =>
  text.split('\n').flatMap((line, index) => (line.trim() === '' ? [] : [readLine(line, index + 1)]))

const readLine = (line: string, number: number): BatchMessage => {
  let parsed: unknown
  try {
    parsed = JSON.parse(line)
  } catch {
    throw mistake(`line ${number} is not valid JSON: ${show(line)}`)
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw mistake(`line ${number} is not a JSON object; write {"data":"…"}`)
  const fields = new Map<string, unknown>(Object.entries(parsed))
  for (const field of fields.keys()) {
    if (!['data', 'base64', 'id', 'ttl', 'key'].includes(field))
      throw mistake(`line ${number} has the field ${show(field)}; there is data, base64, id, ttl, key`)
  }
  const message: BatchMessage = { data: readData(fields, number) }
  const id = fields.get('id')
  const key = fields.get('key')
  const ttl = fields.get('ttl')
  if (id !== undefined) message.id = textOf(id, `line ${number}: id`)
  if (key !== undefined) message.key = textOf(key, `line ${number}: key`)
  if (ttl !== undefined) {
    if (typeof ttl !== 'number' || !Number.isSafeInteger(ttl) || ttl < 1)
      throw mistake(`line ${number}: ttl is not a whole number of seconds, at least 1`)
    message.ttl = ttl * 1_000
  }
  return message
}

const readData = (fields: ReadonlyMap<string, unknown>, number: number): string | Buffer => {
  const data = fields.get('data')
  const base64 = fields.get('base64')
  if ((data === undefined) === (base64 === undefined))
    throw mistake(`line ${number} has not exactly one of data and base64`)
  if (data !== undefined) return textOf(data, `line ${number}: data`)
  const text = textOf(base64, `line ${number}: base64`)
  const bytes = Buffer.from(text, 'base64')
  if (bytes.toString('base64') !== text) throw mistake(`line ${number}: base64 is no base64`)
  return bytes
}

const textOf = (value: unknown, what: string): string => {
  if (typeof value === 'string') return value
  throw mistake(`${what} is not a text`)
}

const partsOf = function* (messages: readonly BatchMessage[]): Generator<BatchMessage[]> {
  let part: BatchMessage[] = []
  let bytes = 0
  for (const message of messages) {
    if (part.length > 0 && (part.length === BATCH.lines || bytes + message.data.length > BATCH.bytes)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(message)
    bytes += message.data.length
  }
  yield part
}

const readStdin = async (): Promise<Buffer> => {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of process.stdin) {
    const bytes = Buffer.from(chunk)
    length += bytes.length
    if (length > MAX_MESSAGE) throw mistake(`stdin holds more than ${MAX_MESSAGE} bytes`)
    chunks.push(bytes)
  }
  return Buffer.concat(chunks, length)
}

const mistake = (text: string): ForksafeError => new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', text)
