// `supervisor audit` of a supervisor under test, as the report that it prints.

import type { AuditReport } from '../../src/audit/audit-report.js'
import type { Finding } from '../../src/shared/finding.js'
import { eventually } from './deadline.js'
import type { SupervisorProcess } from './supervisor-process.js'

export interface Audited {
  code: number | null
  report: AuditReport
}

export const audit = async (supervisor: SupervisorProcess): Promise<Audited> => {
  const { code, stdout, stderr } = await supervisor.cli('audit', '--json')
  if (code !== 0 && code !== 6) throw new Error(`audit --json ended with ${code}: ${stderr}${stdout}`)
  return { code, report: JSON.parse(stdout) as AuditReport }
}

/** `unguardedPile problem 3`, in the order of the report. */
export const inShort = ({ findings }: AuditReport): string[] =>
  findings.map(({ kind, severity, count }) => `${kind} ${severity} ${count}`)

/** Audits until a finding is there, of at least `count`. */
export const waitForFinding = async (
  supervisor: SupervisorProcess,
  kind: Finding['kind'],
  count = 1,
): Promise<{ finding: Finding; code: number | null }> => {
  const { code, report } = await eventually(
    () => audit(supervisor),
    ({ report: { findings } }) => findings.some((finding) => finding.kind === kind && finding.count >= count),
    { what: `a finding ${kind} of ${count}` },
  )
  const finding = report.findings.find((each) => each.kind === kind)
  if (finding === undefined) throw new Error(`no ${kind}`)
  return { finding, code }
}
