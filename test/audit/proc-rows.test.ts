// Lines of the kernel's tables, as kernels have printed them, and what is no line.

import { endianness } from 'node:os'
import t from 'tap'
import { otherRow, parseInetRow, parseUnixRow } from '../../src/audit/proc-rows.js'

const all = () => true

/** An address in the order of the network, as the kernel prints it: each 32-bit word in the order of this machine. */
const printed = (endpoint: string): string =>
  endianness() === 'LE'
    ? endpoint.replace(/[\dA-F]{8}/g, (word) => (word.match(/../g) ?? []).reverse().join(''))
    : endpoint

const inet = (
  local: string,
  remote: string,
  state: string,
  { inode = '6190283', sl = '   0', uid = '    0' } = {},
): string =>
  `${sl}: ${printed(local)} ${printed(remote)} ${state} 00000000:00000000 00:00000000 00000000 ${uid}        0 ${inode} 1 0000000045f11a27 20 4 30 10 -1`

t.test('IPv4 with both ends, a listener without a peer', async (t) => {
  t.same(parseInetRow(inet('7F000001:1F90', 'C0A80002:D431', '01'), 'tcp', all), {
    inode: 6190283,
    kind: 'tcp',
    state: 'established',
    local: { address: '127.0.0.1', port: 8080 },
    remote: { address: '192.168.0.2', port: 54321 },
    path: null,
  })
  t.match(parseInetRow(inet('00000000:01BB', '00000000:0000', '0A'), 'tcp', all), {
    state: 'listen',
    local: { address: '0.0.0.0', port: 443 },
    remote: null,
  })
})

t.test('IPv6 is written short, IPv4 in IPv6 as IPv4', async (t) => {
  const addresses: [bytes: string, written: string][] = [
    ['00000000000000000000000000000000', '::'],
    ['00000000000000000000000000000001', '::1'],
    ['00000000000000000000FFFF7F000001', '127.0.0.1'],
    ['20010DB8000000000000000000000001', '2001:db8::1'],
    ['FE80000000000000505400FFFE1DADB6', 'fe80::5054:ff:fe1d:adb6'],
    ['20010DB8000000010000000200000003', '2001:db8:0:1:0:2:0:3'],
    ['20010DB8000000010000000000000001', '2001:db8:0:1::1'],
    ['20010DB8000100020003000400050006', '2001:db8:1:2:3:4:5:6'],
    ['20010DB8000000000001000000000000', '2001:db8:0:0:1::'],
    ['20010DB8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['000000000000000000000000000A0000', '::a:0'],
    ['20010DB8000000000000000000000000', '2001:db8::'],
    ['00100000000000000000000000000100', '10::100'],
  ]
  for (const [bytes, written] of addresses) {
    const row = parseInetRow(inet(`${bytes}:0050`, `${'0'.repeat(32)}:0000`, '0A'), 'tcp', all)
    t.equal(row?.local?.address, written)
  }
})

t.test('every TCP state has its name', async (t) => {
  const states = Array.from({ length: 12 }, (_, at) => {
    const code = (at + 1).toString(16).padStart(2, '0').toUpperCase()
    return parseInetRow(inet('7F000001:1F90', '7F000001:D431', code), 'tcp', all)?.state
  })
  t.same(states, [
    'established',
    'syn-sent',
    'syn-received',
    'fin-wait-1',
    'fin-wait-2',
    'time-wait',
    'close',
    'close-wait',
    'last-ack',
    'listen',
    'closing',
    'close',
  ])
})

t.test('UDP is bound, or connected', async (t) => {
  const bound =
    '   58: 0100007F:B72F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 6190287 2 00000000c9fda329 0       '
  t.match(parseInetRow(bound, 'udp', all), { kind: 'udp', state: 'bound', remote: null, inode: 6190287 })
  t.match(parseInetRow(inet('7F000001:B72F', '7F000001:0035', '01'), 'udp', all), {
    state: 'connected',
    remote: { port: 53 },
  })
})

t.test('numbers may be as large as they get', async (t) => {
  for (const inode of [4_294_967_295, 2 ** 40, Number.MAX_SAFE_INTEGER]) {
    const row = inet('7F000001:FFFF', '7F000001:FFFF', '01', {
      inode: String(inode),
      sl: '1048575',
      uid: '4294967294',
    })
    t.match(parseInetRow(row, 'tcp', all), { inode, local: { port: 65_535 }, remote: { port: 65_535 } })
  }
})

t.test('a socket of nobody has inode 0', async (t) => {
  const row =
    '   5: 0100007F:9A4C 0100007F:B38F 06 00000000:00000000 03:0000176F 00000000     0        0 0 3 00000000d2f43c5f'
  t.match(
    parseInetRow(row, 'tcp', (inode) => inode === 0),
    { inode: 0, state: 'time-wait' },
  )
})

t.test('unix: a path, a path with spaces, an abstract name, none', async (t) => {
  const row = (rest: string, flags = '00000000', state = '03') =>
    parseUnixRow(`0000000000000000: 00000003 00000000 ${flags} 0001 ${state} ${rest}`, all)
  t.same(row('6189411'), {
    inode: 6189411,
    kind: 'unix',
    state: 'established',
    local: null,
    remote: null,
    path: null,
  })
  t.match(row(' 1121 /run/it is.sock', '00010000', '01'), {
    inode: 1121,
    state: 'listen',
    path: '/run/it is.sock',
  })
  t.match(row('6189413 @name', '00010000', '01'), { state: 'listen', path: '@name' })
  t.match(
    row('6189413 @name@@@@@@@', '00000000', '01'),
    { state: 'unconnected', path: '@name' },
    'filled with NUL',
  )
  t.match(row('7 @@', '00000000', '01'), { path: '@' })
  t.match(row(`7 ${Buffer.from('/run/grün').toString('latin1')}`), { path: '/run/grün' })
  t.match(row('7 /run/\u001b[2J\rx'), { path: '/run/\\x1b[2J\\rx' }, 'nothing of it does harm to a terminal')
})

t.test('headings, cut lines and what is not wanted are no rows', async (t) => {
  const heading =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode'
  const whole = inet('7F000001:1F90', 'C0A80002:D431', '01')
  for (const line of ['', heading, 'nonsense', whole.slice(0, 40), whole.slice(0, 88)])
    t.equal(parseInetRow(line, 'tcp', all), null, line)
  t.equal(
    parseInetRow(whole, 'tcp', () => false),
    null,
  )
  for (const line of ['', 'Num       RefCount Protocol Flags    Type St Inode Path', 'ffff: 00000003 0000'])
    t.equal(parseUnixRow(line, all), null, line)
  t.equal(
    parseUnixRow('00: 00000003 00000000 00000000 0001 03 7', () => false),
    null,
  )
})

t.test('a socket that is in no table is told as such', async (t) => {
  t.same(otherRow(7), { inode: 7, kind: 'other', state: 'close', local: null, remote: null, path: null })
})
