//! Who is alive, and what they told.

use super::State;
use haul_core::{
    ProcessId, Timestamp,
    fleet::{About, GONE_AFTER, Member, RECEIPTS_COUNTED_MAX, Receipts, Report},
    ledger::ProcessInfo,
};
use std::ops::Bound;

impl State {
    pub(in crate::reference) fn heartbeat(&mut self, now: Timestamp, process: &ProcessInfo) {
        let about = self.members.get(&process.id).map_or_else(About::default, |member| member.report.about.clone());
        self.report(now, Report { id: process.id, role: process.role.clone(), about });
    }

    pub(in crate::reference) fn report(&mut self, now: Timestamp, report: Report) {
        let since = self.members.get(&report.id).map_or(now, |member| member.since);
        self.members.insert(report.id, Member { report, since, seen: now });
    }

    pub(in crate::reference) fn alive(&self, now: Timestamp, after: Option<ProcessId>, limit: usize) -> Vec<Member> {
        let begin = after.map_or(Bound::Unbounded, Bound::Excluded);
        let members = self.members.range((begin, Bound::Unbounded)).map(|(_, member)| member);
        members.filter(|member| now.since(member.seen) < GONE_AFTER).take(limit).cloned().collect()
    }

    pub(in crate::reference) fn count_receipts(&self) -> Receipts {
        let count = (self.receipts.len() as u64).min(RECEIPTS_COUNTED_MAX);
        Receipts { count, oldest: self.receipts.keys().min().map(|receipt| receipt.0.created_at()) }
    }
}
