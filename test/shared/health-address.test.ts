import fc from 'fast-check'
import t from 'tap'
import { healthUrl, readHealthAddress } from '../../src/shared/health-address.js'

t.test('a bare port is of the loopback, everything else names its host', async (t) => {
  const cases: [text: string, host: string, port: number, url: string][] = [
    ['9090', '127.0.0.1', 9090, 'http://127.0.0.1:9090'],
    [' 9090 ', '127.0.0.1', 9090, 'http://127.0.0.1:9090'],
    ['0.0.0.0:1', '0.0.0.0', 1, 'http://0.0.0.0:1'],
    ['localhost:65535', 'localhost', 65_535, 'http://localhost:65535'],
    ['my-pod.svc:80', 'my-pod.svc', 80, 'http://my-pod.svc:80'],
    ['[::1]:9090', '::1', 9090, 'http://[::1]:9090'],
    // What Kubernetes makes of $(POD_IP):9090.
    ['fd00::1:2:9090', 'fd00::1:2', 9090, 'http://[fd00::1:2]:9090'],
    ['[::]:9090', '::', 9090, 'http://[::]:9090'],
  ]
  for (const [text, host, port, url] of cases) {
    const address = readHealthAddress(text)
    t.same(address, { host, port }, text)
    if (address !== null) t.equal(healthUrl(address), url)
  }
})

t.test('what is no address is none', async (t) => {
  for (const text of [
    '',
    '0',
    '65536',
    '999999',
    '-1',
    '1.5',
    ':9090',
    '*:9090',
    'host:',
    'host',
    'a b:9090',
    'http://host:9090',
    'host:9090/livez',
    '::1',
    '[::1]',
    '[host]:9090',
    '-host:9090',
    'host\n:9090',
    '9090\0',
  ])
    t.equal(readHealthAddress(text), null, JSON.stringify(text))
})

t.test(
  'whatever it is given: it throws nothing, and what it takes can be written and read again',
  async (t) => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.tuple(fc.domain(), fc.nat(70_000)).map(([host, port]) => `${host}:${port}`),
          fc.tuple(fc.ipV6(), fc.nat(70_000)).map(([host, port]) => `[${host}]:${port}`),
        ),
        (text) => {
          const address = readHealthAddress(text)
          if (address === null) return
          const url = new URL(healthUrl(address))
          t.same(readHealthAddress(healthUrl(address).slice('http://'.length)), address)
          if (url.port !== '') t.equal(Number(url.port), address.port)
        },
      ),
    )
  },
)
