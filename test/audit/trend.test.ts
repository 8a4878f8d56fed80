import t from 'tap'
import {
  formatSlope,
  growthOf,
  MAX_POINTS,
  nameTrends,
  type Trend,
  TrendHistory,
} from '../../src/audit/trend.js'

const trend = (...counts: number[]): Trend => counts.map((count, at) => ({ at: at * 60_000, count }))

t.test('growth is what rose at the end, with its steps and its slope', async (t) => {
  t.match(growthOf(trend(5, 1, 1, 3, 3, 7)), {
    from: { count: 1 },
    to: { count: 7 },
    steps: 2,
    isGoingOn: true,
  })
  t.equal(growthOf(trend(1, 2, 3))?.perHour, 60)
  for (const flat of [trend(), trend(3), trend(3, 3), trend(3, 2), trend(1, 5, 4)])
    t.equal(growthOf(flat), null)
  t.match(growthOf(trend(1, 2, ...Array<number>(10).fill(2))), { isGoingOn: false })
  t.match(growthOf(trend(1, 2, ...Array<number>(9).fill(2))), { isGoingOn: true })
})

t.test('a history keeps an hour of looks', async (t) => {
  const history = new TrendHistory()
  for (let at = 0; at < 100; at++) history.add(at, new Map([['a:1', at + 1]]))
  const points = history.trends().get('a:1') ?? []
  t.equal(points.length, MAX_POINTS)
  t.match([points[0]?.at, points.at(-1)?.at], [40, 99])
})

t.test('an endpoint that is gone counts zero, and is forgotten when an hour has shown none', async (t) => {
  const history = new TrendHistory()
  history.add(0, new Map([['a:1', 2]]))
  history.add(1, new Map())
  t.same(history.trends().get('a:1'), [
    { at: 0, count: 2 },
    { at: 1, count: 0 },
  ])
  for (let at = 2; at < MAX_POINTS + 1; at++) history.add(at, new Map())
  t.equal(history.trends().size, 0)
})

t.test('however many endpoints there are, the busiest 500 are kept', async (t) => {
  const history = new TrendHistory()
  for (let round = 0; round < 3; round++)
    history.add(
      round,
      new Map(Array.from({ length: 2_000 }, (_, at) => [`h${round * 2_000 + at}:1`, at + 1 + round * 3_000])),
    )
  const trends = history.trends()
  t.equal(trends.size, 500)
  t.ok(trends.has('h5999:1'), 'the busiest of the last look')
})

t.test('addresses of one name are one endpoint', async (t) => {
  const trends = new Map([
    ['10.0.0.1:443', trend(1, 2)],
    ['10.0.0.2:443', trend(3, 3)],
    ['10.0.0.3:443', trend(9)],
  ])
  const names = new Map([
    ['10.0.0.1:443', 'api:443'],
    ['10.0.0.2:443', 'api:443'],
  ])
  const named = nameTrends(trends, names)
  t.same(
    named.get('api:443')?.map(({ count }) => count),
    [4, 5],
  )
  t.same([...named.keys()].sort(), ['10.0.0.3:443', 'api:443'])
})

t.test('a slope is short', async (t) => {
  t.equal(formatSlope(12.34), '+12 an hour')
  t.equal(formatSlope(1.26), '+1.3 an hour')
  t.equal(formatSlope(0), '+0 an hour')
})
