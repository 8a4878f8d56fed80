// How each kind of option value is read and what is refused. Which options there are: src/shared/option-table.ts.

import { usableCpus } from './cpu-quota.js'
import { type DurationBounds, parseDuration, show } from './duration.js'
import { ForksafeError } from './errors.js'
import { type HealthAddress, readHealthAddress } from './health-address.js'
import { type ForkHook, MAX_WORKERS, type RestartLimits } from './settings.js'
import { parseSize } from './size.js'
import { isName, MAX_NAME } from './supervisor-name.js'

/**
 * Reads a raw value or throws FORKSAFE_ERR_OPTION_INVALID naming `field`, value and remedy.
 *
 * @param field the option as the user wrote it: `--workers`, `FORKSAFE_WORKERS`, `workers in supervisor.config.js`.
 * @param form `text` for flags and environment, where everything is a string; `value` for files and calls.
 */
export type Reader<Value> = (field: string, raw: unknown, form: 'text' | 'value') => Value

export const invalidOption = (field: string, raw: unknown, why: string): ForksafeError =>
  new ForksafeError('FORKSAFE_ERR_OPTION_INVALID', `${field}: ${show(raw)} ${why}`, {
    details: { field, value: show(raw) },
  })

/** A whole number of workers, or `max`: one for each CPU that this process may use, its cgroup's quota included. */
export const readWorkers: Reader<number> = (field, raw, form) => {
  if (raw === 'max') return usableCpus()
  const count = readNumber(raw, form)
  if (Object.is(count, 0)) throw invalidOption(field, raw, 'would start no worker; use max for one per CPU')
  if (!isBetween(count, 1, MAX_WORKERS)) {
    throw invalidOption(
      field,
      raw,
      `is not a number of workers; use a whole number from 1 to ${MAX_WORKERS}, or max for one per CPU`,
    )
  }
  return count
}

export const readWholeNumber =
  (min: number, max: number): Reader<number> =>
  (field, raw, form) => {
    const number = readNumber(raw, form)
    if (!isBetween(number, min, max)) {
      throw invalidOption(field, raw, `is not allowed; use a whole number from ${min} to ${max}`)
    }
    return number
  }

export const readDuration =
  (bounds: DurationBounds): Reader<number> =>
  (field, raw) =>
    parseDuration(field, raw, bounds)

export const readSize =
  (min: number): Reader<number> =>
  (field, raw) =>
    parseSize(field, raw, min)

/** The same, or 0 for none. */
export const readOrNone =
  (read: Reader<number>): Reader<number> =>
  (field, raw, form) =>
    raw === 0 || (form === 'text' && raw === '0') ? 0 : read(field, raw, form)

/** `{ 'api.example.com:443': 1 }`; as texts `api.example.com:443=1`. */
export const readBudgets: Reader<Record<string, number>> = (field, raw, form) => {
  const entries: [string, unknown][] =
    form === 'text'
      ? readTexts(field, raw, form).map((text) => [text.slice(0, Math.max(0, text.lastIndexOf('='))), text])
      : fields(field, raw, "write { 'api.example.com:443': 1 }")
  return Object.fromEntries(entries.map(([endpoint, value]) => budget(field, endpoint, value, form)))
}

const budget = (field: string, endpoint: string, raw: unknown, form: 'text' | 'value'): [string, number] => {
  const count = form === 'text' ? String(raw).slice(endpoint.length + 1) : raw
  if (!isEndpoint(endpoint)) {
    throw invalidOption(
      field,
      form === 'text' ? raw : endpoint,
      form === 'text'
        ? 'is not a budget; write HOST:PORT=COUNT, such as api.example.com:443=1'
        : 'is not an endpoint; write HOST:PORT, such as api.example.com:443',
    )
  }
  return [endpoint.toLowerCase(), readWholeNumber(0, MAX_BUDGET)(`${field}, ${endpoint}`, count, form)]
}

const MAX_BUDGET = 1_000_000

/** A name or an address, an IPv6 one in brackets, and a port; no scheme and no path. */
const isEndpoint = (text: string): boolean => {
  const [, port] = /^(?:[^\s:/@[\]=]{1,253}|\[[0-9a-fA-F:.]+\]):(\d{1,5})$/.exec(text) ?? []
  return port !== undefined && Number(port) >= 1 && Number(port) <= 65_535
}

/** A port of the loopback, or HOST:PORT. */
export const readAddress: Reader<HealthAddress> = (field, raw) => {
  const text = typeof raw === 'number' || typeof raw === 'string' ? String(raw) : ''
  const address = readHealthAddress(text)
  if (address === null) {
    throw invalidOption(
      field,
      raw,
      'is no address to listen on; write a port (9090) for this machine alone, or HOST:PORT (0.0.0.0:9090)',
    )
  }
  return address
}

export const readChoice =
  <Choice extends string>(...choices: readonly Choice[]): Reader<Choice> =>
  (field, raw) => {
    const chosen = choices.find((choice) => choice === raw)
    if (chosen === undefined) throw invalidOption(field, raw, `is not one of ${choices.join(', ')}`)
    return chosen
  }

export const readName: Reader<string> = (field, raw) => {
  if (typeof raw !== 'string' || !isName(raw)) {
    throw invalidOption(
      field,
      raw,
      `is not a name; use 1 to ${MAX_NAME} letters, digits, dots, dashes or underscores, the first a letter or digit`,
    )
  }
  return raw
}

export const readPath: Reader<string> = (field, raw) => {
  if (typeof raw !== 'string' || raw.trim() === '' || raw.includes('\0')) {
    throw invalidOption(field, raw, 'is not a path; write the path of a file or folder')
  }
  return raw
}

export const readTexts: Reader<string[]> = (field, raw) => {
  if (!Array.isArray(raw)) throw invalidOption(field, raw, "is not a list; write ['one', 'two']")
  return raw.map((entry: unknown, index) => readArgument(`${field}, entry ${index}`, entry))
}

/** A list, or one text that is split at spaces; what holds spaces itself needs the list. */
export const readNodeArgs: Reader<string[]> = (field, raw, form) => {
  if (typeof raw === 'string') {
    return raw.split(' ').flatMap((part) => (part === '' ? [] : [readArgument(field, part)]))
  }
  if (form === 'text' && !Array.isArray(raw)) throw invalidOption(field, raw, 'is not a text')
  return readTexts(field, raw, form)
}

/** `KEY=VALUE` texts from flags, an object from files. */
export const readVariables: Reader<Record<string, string>> = (field, raw, form) => {
  const entries =
    form === 'text' ? readTexts(field, raw, form).map((text) => assignment(field, text)) : fields(field, raw)
  // fromEntries defines own properties, so no key can reach a prototype.
  return Object.fromEntries(entries.map(([key, value]) => variable(field, key, value)))
}

/** One path, or in a file a list of paths. */
export const readPaths: Reader<string[]> = (field, raw, form) => {
  const paths = Array.isArray(raw) ? raw : [raw]
  return paths.map((path: unknown, index) =>
    readPath(paths.length === 1 ? field : `${field}, entry ${index}`, path, form),
  )
}

/** `{ intensity, period, onExceeded }`, as a text `intensity=10,period=60s`; what is left out is the default. */
export const readRestart =
  (defaults: RestartLimits): Reader<RestartLimits> =>
  (field, raw, form) => {
    const given = typeof raw === 'string' && form === 'text' ? restartFields(field, raw) : raw
    if (!isPlainObject(given)) {
      throw invalidOption(field, raw, "is not an object; write { intensity: 10, period: '60s' }")
    }
    for (const key of Object.keys(given)) {
      if (!Object.hasOwn(defaults, key))
        throw invalidOption(
          `${field}, ${show(key)}`,
          given[key],
          `is unknown; there is ${Object.keys(defaults).join(', ')}`,
        )
    }
    const { intensity, period, onExceeded } = given
    return {
      intensity:
        intensity === undefined
          ? defaults.intensity
          : readWholeNumber(0, 1_000)(`${field}, intensity`, intensity, form),
      period:
        period === undefined
          ? defaults.period
          : readDuration({ min: 1_000 })(`${field}, period`, period, form),
      onExceeded:
        onExceeded === undefined
          ? defaults.onExceeded
          : readChoice('backoff', 'exit')(`${field}, onExceeded`, onExceeded, form),
    }
  }

const restartFields = (field: string, text: string): Record<string, string> =>
  Object.fromEntries(
    text.split(',').map((part) => {
      const at = part.indexOf('=')
      if (at < 1)
        throw invalidOption(field, text, 'is not understood; write intensity=10,period=60s,onExceeded=exit')
      return [part.slice(0, at).trim(), part.slice(at + 1).trim()]
    }),
  )

/** Names of variables: a list, or one text that is split at commas. */
export const readVariableNames: Reader<string[]> = (field, raw, form) => {
  const list = typeof raw === 'string' && form === 'text' ? raw.split(',').map((name) => name.trim()) : raw
  return readTexts(field, list, form).map((name) => {
    if (/^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)) return name
    // It may be the secret itself.
    throw invalidOption(field, '(not shown)', 'is not a name of a variable; write the name, not the value')
  })
}

/** An object; what stands in it is looked at later. */
export const readRawRelay: Reader<Readonly<Record<string, unknown>>> = (field, raw) => {
  if (isPlainObject(raw)) return raw
  // It may be a URL, which may hold a secret.
  const shape = Array.isArray(raw) ? 'a list' : `a ${typeof raw}`
  throw invalidOption(field, shape, "is no object; write { to: { feed: 'wss://host/path' } }")
}

export const readHook: Reader<ForkHook> = (field, raw) => {
  if (!isHook(raw)) throw invalidOption(field, raw, 'is not a function')
  return raw
}

const isHook = (raw: unknown): raw is ForkHook => typeof raw === 'function'

const isBetween = (number: number | undefined, min: number, max: number): number is number =>
  number !== undefined && Number.isInteger(number) && number >= min && number <= max

const readNumber = (raw: unknown, form: 'text' | 'value'): number | undefined => {
  if (form === 'value') return typeof raw === 'number' ? raw : undefined
  return typeof raw === 'string' && /^\d{1,9}$/.test(raw.trim()) ? Number(raw) : undefined
}

const readArgument = (field: string, raw: unknown): string => {
  if (typeof raw !== 'string' || raw.includes('\0')) {
    throw invalidOption(field, raw, 'is not a text that a process can be given')
  }
  return raw
}

const assignment = (field: string, text: string): [string, string] => {
  const at = text.indexOf('=')
  if (at < 1) throw invalidOption(field, text, 'has no value; write KEY=VALUE')
  return [text.slice(0, at), text.slice(at + 1)]
}

const fields = (field: string, raw: unknown, remedy = "write { KEY: 'value' }"): [string, unknown][] => {
  if (!isPlainObject(raw)) throw invalidOption(field, raw, `is not an object; ${remedy}`)
  return Object.entries(raw)
}

/** Set by the supervisor itself: a worker with another value would not know who or whose it is. */
const OWN_VARIABLE = /^(FORKSAFE_WORKER|SUPERVISOR_.*|NODE_UNIQUE_ID|NODE_CHANNEL_.*|NODE_APP_INSTANCE)$/

const variable = (field: string, key: string, raw: unknown): [string, string] => {
  if (key === '' || key.includes('=') || key.includes('\0') || isPrototypeKey(key)) {
    throw invalidOption(field, key, 'is not a name of a variable')
  }
  if (OWN_VARIABLE.test(key)) throw invalidOption(field, key, 'is set by the supervisor itself; leave it out')
  if (typeof raw !== 'string' && typeof raw !== 'number' && typeof raw !== 'boolean') {
    throw invalidOption(`${field}, ${show(key)}`, raw, 'is not a text, number or boolean')
  }
  const value = String(raw)
  if (value.includes('\0')) {
    throw invalidOption(`${field}, ${show(key)}`, raw, 'holds a NUL, which no variable can')
  }
  return [key, value]
}

export const isPrototypeKey = (key: string): boolean =>
  key === '__proto__' || key === 'constructor' || key === 'prototype'

/** An object literal: made by nobody's class and with nobody's prototype, of whatever realm. */
export const isPlainObject = (value: unknown): value is Record<string, unknown> => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  if (typeof prototype !== 'object' || prototype === null) return true
  return Object.hasOwn(prototype, 'hasOwnProperty') && Object.getPrototypeOf(prototype) === null
}
