// What of a client's url and headers must not be seen in a log. Pure; who is told of it is src/shared/secrets.ts.

/** Headers that say nothing secret; every other one that somebody sets may. */
const PUBLIC_HEADERS =
  /^(accept(-.*)?|cache-control|content-type|host|origin|pragma|referer|user-agent|sec-websocket-.*)$/i

/** Query parameters that carry credentials, by name. */
const SECRET_PARAMETER = /token|key|secret|auth|pass|pwd|sig|jwt|credential|ticket/i

export const secretsOf = (url: URL, headers: Readonly<Record<string, string>>): string[] => [
  ...inUrl(url),
  ...Object.entries(headers).flatMap(([name, value]) =>
    PUBLIC_HEADERS.test(name) ? [] : inHeader(name, value),
  ),
]

/** A user name alone stands for a password: `wss://TOKEN@host`. */
const inUrl = ({ username, password, searchParams }: URL): string[] => [
  password === '' ? username : password,
  ...[...searchParams].flatMap(([name, value]) => (SECRET_PARAMETER.test(name) ? [value] : [])),
]

const inHeader = (name: string, value: string): string[] => {
  if (name.toLowerCase() === 'cookie')
    return [value, ...value.split(';').map((pair) => afterFirst('=', pair))]
  const credential = afterFirst(' ', value.trim())
  return [value, credential, ...(/^basic /i.test(value) ? basicPassword(credential) : [])]
}

/** RFC 7617 section 2: base64 of `user:password`. */
const basicPassword = (credential: string): string[] => [
  afterFirst(':', Buffer.from(credential, 'base64').toString('utf8')),
]

const afterFirst = (mark: string, text: string): string => {
  const at = text.indexOf(mark)
  return at < 0 ? '' : text.slice(at + 1).trim()
}
