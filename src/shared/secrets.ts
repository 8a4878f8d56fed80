// Secret values that this process has come to know, and who wants to be told of them, so that they can be kept out of
// logs. A registry and nothing else: guarded clients tell (src/client/client-secrets.ts), the worker's runtime passes on
// to its primary, the primary redacts (src/observe/redactor.ts). It lives under a registered symbol, so two copies of the
// package share one.

type SecretListener = (values: readonly string[]) => void

interface Registry {
  /** The newest ones, for listeners that come later. */
  readonly values: Set<string>
  readonly listeners: Set<SecretListener>
}

/** Most values that are passed on at once, and kept. */
export const MAX_SECRETS = 100
/** Shorter ones would be found everywhere in a log. */
export const MIN_SECRET = 6
/** Longer ones are cut: who writes one writes its beginning. */
export const MAX_SECRET = 4_096

const KEY = Symbol.for('forksafe.secrets.v1')

const registry = (): Registry => {
  const holder = globalThis as { [KEY]?: Registry }
  holder[KEY] ??= { values: new Set(), listeners: new Set() }
  return holder[KEY]
}

/** Tells of values that must not be seen; those known already cost nothing. */
export const tellSecrets = (values: readonly string[]): void => {
  const { values: known, listeners } = registry()
  const news = values
    .map((value) => value.slice(0, MAX_SECRET))
    .filter((value) => value.length >= MIN_SECRET && !known.has(value))
    .slice(0, MAX_SECRETS)
  if (news.length === 0) return
  for (const value of news) known.add(value)
  for (const value of known) {
    if (known.size <= MAX_SECRETS) break
    known.delete(value)
  }
  for (const listener of listeners) listener(news)
}

/** Calls `listener` with what is known and with what comes, at most 100 values at once; returns what ends it. */
export const onSecrets = (listener: SecretListener): (() => void) => {
  const { values, listeners } = registry()
  listeners.add(listener)
  if (values.size > 0) listener([...values])
  return () => void listeners.delete(listener)
}
