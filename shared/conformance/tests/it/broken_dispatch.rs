//! A dispatch that keeps every promise but one.

use async_trait::async_trait;
use haul_conformance::reference::ReferenceDispatch;
use haul_core::{
    Dispatch, JobId, Kind, ProcessId, QueueSettings, Timestamp,
    dispatch::{
        Claim, ClaimRequest, Lease, LeaseToken, Next, Place, QueueState, QueueStats, RebuildToken, Result, ScanCursor,
        ScanPage, Settlement, Ticket,
    },
    job::Priority,
    name::QueueRef,
};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The promise that is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Defect {
    LeasesTwice,
    SettlesWithoutToken,
    ExtendsWithoutToken,
    OnlySaysThatItExtends,
    LosesExpiredLeases,
    HidesSuspects,
    EnqueuesWhatIsLeased,
    IgnoresPriorities,
    IgnoresRoom,
    GivesMoreThanTheLimit,
    GivesWhatNobodyAskedFor,
    TurnsTheLineAround,
    StartsEarly,
    DoesNotTellWhatIsNext,
    ForgetsParked,
    ReleasesToTheBack,
    DoesNotRemove,
    DoesNotPause,
    CountsAllKinds,
    HidesLoss,
    LetsTwoRebuild,
    RightsNeverEnd,
    DoesNotRenewRights,
    RebuildsBesideTheOld,
    RefusesTicketsDuringRebuild,
    DoesNotTakeLeasesUpAgain,
    ScansByOffset,
    ScansOnePage,
    ScansAllKinds,
    ScansMoreThanTheLimit,
    ScansWithoutLeases,
    ScansWithoutExpiry,
    TakesWhatItScans,
    WakesNobody,
    LosesWakeUpsBeforeTheWait,
    IsSilentAboutWhatItLeaves,
    WakesAHerd,
    DoesNotPassWakeUpsOn,
    IsSilentAboutWhatIsDueLater,
}
use Defect::*;

const LONG: Duration = Duration::from_secs(3_600);

pub(crate) struct BrokenDispatch {
    inner: Arc<ReferenceDispatch>,
    defect: Defect,
    notes: Mutex<Notes>,
    /// Wake-ups that may come through, for the defects that suppress some.
    wakes: AtomicUsize,
}

/// What some defects need to remember.
#[derive(Default)]
struct Notes {
    tokens: HashMap<(Kind, JobId), LeaseToken>,
    again: Vec<Ticket>,
    rights: HashMap<QueueRef, RebuildToken>,
}

impl BrokenDispatch {
    pub(crate) fn new(inner: Arc<ReferenceDispatch>, defect: Defect) -> Self {
        Self { inner, defect, notes: Mutex::default(), wakes: AtomicUsize::new(0) }
    }

    fn is(&self, defect: Defect) -> bool {
        self.defect == defect
    }

    /// The lease with the token that it really has.
    fn unlocked(&self, lease: &Lease) -> Lease {
        let token = self.notes.lock().tokens.get(&(lease.kind.clone(), lease.id)).copied();
        Lease { token: token.unwrap_or(lease.token), ..lease.clone() }
    }

    async fn is_lost(&self, queue: &QueueRef) -> Result<bool> {
        Ok(!self.inner.lost(std::slice::from_ref(queue)).await?.is_empty())
    }

    /// All kinds of the suite, with room for everything.
    fn everything(limit: usize) -> Vec<(Kind, usize)> {
        ["a", "b", "c"].iter().filter_map(|name| Some((Kind::new(name).ok()?, limit))).collect()
    }
}

#[async_trait]
impl Dispatch for BrokenDispatch {
    async fn enqueue(&self, queue: &QueueRef, tickets: &[Ticket]) -> Result<()> {
        let mut tickets = tickets.to_vec();
        match self.defect {
            IgnoresPriorities => tickets.iter_mut().for_each(|ticket| ticket.priority = Priority::default()),
            TurnsTheLineAround => tickets.reverse(),
            StartsEarly => tickets.iter_mut().for_each(|ticket| ticket.due = None),
            RefusesTicketsDuringRebuild if self.is_lost(queue).await? => return Ok(()),
            EnqueuesWhatIsLeased => {
                let asked: Vec<_> = tickets.iter().map(|ticket| (ticket.kind.clone(), ticket.id)).collect();
                let leased = self.inner.leased(queue, &asked).await?;
                let again = tickets.iter().zip(leased).filter(|(_, leased)| *leased);
                self.notes.lock().again.extend(again.map(|(ticket, _)| ticket.clone()));
            }
            _ => {}
        }
        let silent = self.is(IsSilentAboutWhatIsDueLater) && tickets.iter().all(|ticket| ticket.due.is_some());
        self.wakes.fetch_add(usize::from(!silent), Ordering::SeqCst);
        self.inner.enqueue(queue, &tickets).await?;
        if self.is(WakesAHerd) {
            let kinds: Vec<Kind> = tickets.iter().map(|ticket| ticket.kind.clone()).collect();
            for _ in 0..10 {
                self.inner.wake(queue, &kinds).await?;
            }
        }
        Ok(())
    }

    async fn claim(&self, request: &ClaimRequest<'_>) -> Result<Claim> {
        let everything = Self::everything(request.limit);
        let kinds: Vec<(Kind, usize)> = match self.defect {
            IgnoresRoom => request.kinds.iter().map(|(kind, _)| (kind.clone(), request.limit)).collect(),
            GivesWhatNobodyAskedFor => everything,
            GivesMoreThanTheLimit => request.kinds.iter().map(|(kind, room)| (kind.clone(), room + 1)).collect(),
            _ => request.kinds.to_vec(),
        };
        let limit = request.limit + usize::from(self.is(GivesMoreThanTheLimit));
        let ClaimRequest { queue, worker, token, lease, .. } = *request;
        let inner = ClaimRequest { queue, kinds: &kinds, limit, worker, token, lease };
        let mut claim = self.inner.claim(&inner).await?;
        let settle = |next: Next, only_suspects: bool| {
            let tickets = claim.tickets.iter().filter(|ticket| ticket.suspect || !only_suspects);
            let lease = tickets.map(|ticket| (ticket.id, ticket.kind.clone(), ticket.priority));
            let lease = lease.map(|(id, kind, priority)| Lease { id, kind, priority, token });
            lease.map(|lease| Settlement { lease, next }).collect::<Vec<_>>()
        };
        match self.defect {
            LeasesTwice => self.inner.settle(queue, &settle(Next::Release, false)).await?,
            LosesExpiredLeases => {
                self.inner.settle(queue, &settle(Next::Done, true)).await?;
                claim.tickets.retain(|ticket| !ticket.suspect);
            }
            HidesSuspects => claim.tickets.iter_mut().for_each(|ticket| ticket.suspect = false),
            DoesNotTellWhatIsNext => claim.next_in = None,
            HidesLoss if claim.state == QueueState::Lost => claim.state = QueueState::Ready,
            _ => {}
        }
        let mut notes = self.notes.lock();
        for ticket in &claim.tickets {
            notes.tokens.insert((ticket.kind.clone(), ticket.id), token);
        }
        drop(notes);
        Ok(claim)
    }

    async fn extend(&self, queue: &QueueRef, leases: &[Lease], lease: Duration) -> Result<Vec<bool>> {
        match self.defect {
            ExtendsWithoutToken => {
                let leases: Vec<Lease> = leases.iter().map(|lease| self.unlocked(lease)).collect();
                self.inner.extend(queue, &leases, lease).await
            }
            OnlySaysThatItExtends => Ok(leases.iter().map(|lease| self.unlocked(lease).token == lease.token).collect()),
            DoesNotTakeLeasesUpAgain => {
                let asked: Vec<_> = leases.iter().map(|lease| (lease.kind.clone(), lease.id)).collect();
                let leased = self.inner.leased(queue, &asked).await?;
                let mut answers = Vec::new();
                for (held, leased) in leases.iter().zip(leased) {
                    let held = std::slice::from_ref(held);
                    answers.push(leased && self.inner.extend(queue, held, lease).await? == [true]);
                }
                Ok(answers)
            }
            _ => self.inner.extend(queue, leases, lease).await,
        }
    }

    async fn settle(&self, queue: &QueueRef, settlements: &[Settlement]) -> Result<()> {
        let mut settlements = settlements.to_vec();
        for Settlement { lease, next } in &mut settlements {
            match (self.defect, *next) {
                (SettlesWithoutToken, _) => *lease = self.unlocked(lease),
                (ForgetsParked, Next::Park(_)) => *next = Next::Done,
                (ReleasesToTheBack, Next::Release) => *next = Next::Park(Timestamp::from_ms(0)),
                _ => {}
            }
        }
        self.inner.settle(queue, &settlements).await?;
        let again = std::mem::take(&mut self.notes.lock().again);
        self.inner.enqueue(queue, &again).await
    }

    async fn remove(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<()> {
        if self.is(DoesNotRemove) { Ok(()) } else { self.inner.remove(queue, tickets).await }
    }

    async fn configure(&self, queue: &QueueRef, settings: &QueueSettings) -> Result<()> {
        if self.is(DoesNotPause) { Ok(()) } else { self.inner.configure(queue, settings).await }
    }

    async fn stats(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<QueueStats> {
        let everything: Vec<Kind> = Self::everything(0).into_iter().map(|(kind, _)| kind).collect();
        self.inner.stats(queue, if self.is(CountsAllKinds) { &everything } else { kinds }).await
    }

    async fn leased(&self, queue: &QueueRef, tickets: &[(Kind, JobId)]) -> Result<Vec<bool>> {
        self.inner.leased(queue, tickets).await
    }

    async fn running(&self, queue: &QueueRef, kinds: &[Kind], limit: usize) -> Result<Vec<JobId>> {
        self.inner.running(queue, kinds, limit).await
    }

    async fn scan(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        cursor: Option<&ScanCursor>,
        limit: usize,
    ) -> Result<ScanPage> {
        if self.is(ScansByOffset) {
            // Right as long as nothing is taken away.
            let all = self.inner.scan(queue, kinds, None, usize::MAX).await?.tickets;
            let offset = cursor.and_then(|cursor| cursor.0.parse().ok()).unwrap_or(0);
            let tickets: Vec<_> = all.into_iter().skip(offset).take(limit.max(1)).collect();
            let next = (!tickets.is_empty()).then(|| ScanCursor((offset + tickets.len()).to_string()));
            return Ok(ScanPage { tickets, next });
        }
        let everything: Vec<Kind> = Self::everything(0).into_iter().map(|(kind, _)| kind).collect();
        let kinds = if self.is(ScansAllKinds) { &everything } else { kinds };
        let limit = limit + usize::from(self.is(ScansMoreThanTheLimit));
        let mut page = self.inner.scan(queue, kinds, cursor, limit).await?;
        match self.defect {
            ScansOnePage => page.next = None,
            ScansWithoutLeases => page.tickets.retain(|seen| !matches!(seen.place, Place::Leased { .. })),
            ScansWithoutExpiry => {
                for seen in &mut page.tickets {
                    if let Place::Leased { expired_for } = &mut seen.place {
                        *expired_for = None;
                    }
                }
            }
            TakesWhatItScans => {
                let seen: Vec<_> = page.tickets.iter().map(|seen| (seen.kind.clone(), seen.id)).collect();
                self.inner.remove(queue, &seen).await?;
            }
            _ => {}
        }
        Ok(page)
    }

    async fn wait(&self, worker: ProcessId, at_most: Duration) -> Vec<QueueRef> {
        match self.defect {
            WakesNobody => {
                tokio::time::sleep(at_most).await;
                Vec::new()
            }
            LosesWakeUpsBeforeTheWait => {
                drop(self.inner.wait(worker, Duration::ZERO).await);
                self.inner.wait(worker, at_most).await
            }
            IsSilentAboutWhatItLeaves | IsSilentAboutWhatIsDueLater => {
                let woken_for = self.inner.wait(worker, at_most).await;
                let may_wake = |wakes: usize| wakes.checked_sub(1);
                if self.wakes.fetch_update(Ordering::SeqCst, Ordering::SeqCst, may_wake).is_ok() {
                    return woken_for;
                }
                tokio::time::sleep(at_most).await;
                Vec::new()
            }
            _ => self.inner.wait(worker, at_most).await,
        }
    }

    async fn wake(&self, queue: &QueueRef, kinds: &[Kind]) -> Result<()> {
        if self.is(DoesNotPassWakeUpsOn) { Ok(()) } else { self.inner.wake(queue, kinds).await }
    }

    async fn lost(&self, queues: &[QueueRef]) -> Result<Vec<QueueRef>> {
        if self.is(HidesLoss) { Ok(Vec::new()) } else { self.inner.lost(queues).await }
    }

    async fn begin_rebuild(
        &self,
        queue: &QueueRef,
        kinds: &[Kind],
        settings: &QueueSettings,
        hold: Duration,
    ) -> Result<Option<RebuildToken>> {
        let kinds = if self.is(RebuildsBesideTheOld) { &[] } else { kinds };
        let hold = if self.is(RightsNeverEnd) { LONG } else { hold };
        let token = self.inner.begin_rebuild(queue, kinds, settings, hold).await?;
        let mut notes = self.notes.lock();
        notes.rights.extend(token.map(|token| (queue.clone(), token)));
        Ok(if self.is(LetsTwoRebuild) { notes.rights.get(queue).copied() } else { token })
    }

    async fn rebuild(&self, queue: &QueueRef, token: RebuildToken, tickets: &[Ticket], hold: Duration) -> Result<bool> {
        if self.is(DoesNotRenewRights) {
            self.inner.enqueue(queue, tickets).await?;
            return Ok(true);
        }
        self.inner.rebuild(queue, token, tickets, hold).await
    }

    async fn finish_rebuild(&self, queue: &QueueRef, token: RebuildToken, settings: &QueueSettings) -> Result<bool> {
        self.inner.finish_rebuild(queue, token, settings).await
    }
}
