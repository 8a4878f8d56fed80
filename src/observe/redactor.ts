// Takes known secret values out of text, in every form in which they are likely to be written. Pure.
// Which values are secret is told to it: src/primary/supervisor.ts by the names that the configuration gives,
// src/shared/secrets.ts by guarded clients. Where it stands in the way of a line: src/observe/output.ts.

import { MAX_SECRET, MIN_SECRET } from '../shared/secrets.js'

export const REDACTED = '[redacted]'

/** Most forms that are looked for of each kind; the oldest go first. */
const MAX_FORMS = 1_000

export class Redactor {
  /** In order of telling, oldest first. What a worker tells can never push out what the configuration names. */
  readonly #forms = { named: new Set<string>(), told: new Set<string>() }
  /** Longest first, so that of two that begin alike the longer one is taken out whole. */
  #ordered: string[] = []

  /** Values that shall never be seen from now on; told again they count as new. */
  add(values: Iterable<string>, kind: 'named' | 'told'): void {
    const forms = this.#forms[kind]
    let hasNews = false
    for (const value of values) {
      for (const form of formsOf(value)) {
        hasNews = !forms.delete(form) || hasNews
        forms.add(form)
      }
    }
    if (!hasNews) return
    for (const form of forms) {
      if (forms.size <= MAX_FORMS) break
      forms.delete(form)
    }
    const all = new Set([...this.#forms.named, ...this.#forms.told])
    this.#ordered = [...all].sort((a, b) => b.length - a.length)
  }

  /** The text without secret values and without credentials in URLs. */
  text(text: string): string {
    let safe = text
    for (const form of this.#ordered) if (safe.includes(form)) safe = safe.replaceAll(form, REDACTED)
    return safe.includes('://') && safe.includes('@')
      ? safe.replace(URL_CREDENTIALS, `://${REDACTED}@`)
      : safe
  }

  /** The same for every text in a JSON value; keys stay. */
  value(value: unknown): unknown {
    if (typeof value === 'string') return this.text(value)
    if (Array.isArray(value)) return value.map((entry) => this.value(entry))
    if (typeof value !== 'object' || value === null) return value
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, this.value(entry)]))
  }
}

/** `://user:password@`: linear, because no part of it can match what ends it. */
const URL_CREDENTIALS = /:\/\/[^\s/?#:@]*:[^\s/?#]*@/g

/** The value as it is, as a URL writes it, as JSON writes it; of several lines each one, because lines are what is read. */
const formsOf = (value: string): string[] =>
  [value, percentDecoded(value)]
    .flatMap((plain) => [plain, encodeURIComponentSafely(plain), JSON.stringify(plain).slice(1, -1)])
    .flatMap((form) => form.split(/[\r\n]+/))
    .map((form) => form.trim().slice(0, MAX_SECRET))
    .filter((form) => form.length >= MIN_SECRET && form !== REDACTED)

const percentDecoded = (value: string): string => {
  try {
    return decodeURIComponent(value)
  } catch {
    return value
  }
}

const encodeURIComponentSafely = (value: string): string => {
  try {
    return encodeURIComponent(value)
  } catch {
    return value
  }
}
