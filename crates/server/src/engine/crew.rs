//! The tasks that make attempts, each one after another: what an attempt needs of memory is some KiB, which a task of its
//! own would take and give back each time.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::mpsc::{UnboundedSender, error::SendError, unbounded_channel};

/// Tasks that wait for work at most; one more ends instead.
const IDLE_MAX: usize = 256;

/// What becomes of a job. What it answers with is sent once its task can be given the next job.
pub(super) trait Work: Send + Sync + 'static {
    type Job: Send + 'static;
    type Answer: Send;

    fn work(&self, job: Self::Job) -> impl Future<Output = Self::Answer> + Send;

    fn answer(&self, answer: Self::Answer);
}

/// Once it is dropped, its tasks end with what they have begun.
pub(super) struct Crew<W: Work> {
    work: Arc<W>,
    idle: Arc<Idle<W::Job>>,
}

struct Idle<J>(Mutex<Vec<Hand<J>>>);

/// The way to a task that waits.
struct Hand<J>(UnboundedSender<(J, Hand<J>)>);

impl<W: Work> Crew<W> {
    pub(super) fn new(work: W) -> Self {
        Self { work: Arc::new(work), idle: Arc::new(Idle(Mutex::default())) }
    }

    /// Begins a job at once, with a task that waits or with a new one.
    pub(super) fn begin(&self, mut job: W::Job) {
        while let Some(hand) = self.idle.pop() {
            match hand.give(job) {
                Ok(()) => return,
                // Its task has broken off.
                Err(back) => job = back,
            }
        }
        tokio::spawn(run(Arc::clone(&self.work), Arc::downgrade(&self.idle), job));
    }
}

async fn run<W: Work>(work: Arc<W>, idle: Weak<Idle<W::Job>>, first: W::Job) {
    let (sender, mut jobs) = unbounded_channel();
    let mut next = Some((first, Hand(sender)));
    while let Some((job, hand)) = next {
        let answer = work.work(job).await;
        // The answer mostly brings the next job.
        let waits = idle.upgrade().is_some_and(|idle| idle.push(hand));
        work.answer(answer);
        if !waits {
            return;
        }
        next = jobs.recv().await;
    }
}

impl<J> Hand<J> {
    fn give(self, job: J) -> Result<(), J> {
        let back = Hand(self.0.clone());
        self.0.send((job, back)).map_err(|SendError((job, _))| job)
    }
}

impl<J> Idle<J> {
    fn pop(&self) -> Option<Hand<J>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// `false`: enough others wait.
    fn push(&self, hand: Hand<J>) -> bool {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let has_room = idle.len() < IDLE_MAX;
        if has_room {
            idle.push(hand);
        }
        has_room
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::task::{Id, id};

    use super::*;

    /// A job says in which task it is done once it may be.
    struct Tell;

    type Job = (oneshot::Receiver<()>, oneshot::Sender<Id>);

    impl Work for Tell {
        type Job = Job;
        type Answer = (oneshot::Sender<Id>, Id);

        async fn work(&self, (may_end, told): Job) -> Self::Answer {
            may_end.await.expect("the job is lost");
            (told, id())
        }

        fn answer(&self, (told, id): Self::Answer) {
            told.send(id).unwrap();
        }
    }

    fn begin(crew: &Crew<Tell>) -> (oneshot::Sender<()>, oneshot::Receiver<Id>) {
        let ((end, may_end), (told, tells)) = (oneshot::channel(), oneshot::channel());
        crew.begin((may_end, told));
        (end, tells)
    }

    async fn done(crew: &Crew<Tell>) -> Id {
        let (end, tells) = begin(crew);
        end.send(()).unwrap();
        tells.await.unwrap()
    }

    #[tokio::test]
    async fn one_job_after_another_is_done_by_one_task() {
        let crew = Crew::new(Tell);
        let first = done(&crew).await;
        assert_eq!([done(&crew).await, done(&crew).await], [first, first]);
    }

    #[tokio::test]
    async fn jobs_at_one_time_wait_for_no_other() {
        let crew = Crew::new(Tell);
        let (end_first, first) = begin(&crew);
        let second = done(&crew).await;
        end_first.send(()).unwrap();
        assert_ne!(first.await.unwrap(), second);
    }

    #[tokio::test]
    async fn a_task_that_breaks_off_takes_no_other_job_with_it() {
        let crew = Crew::new(Tell);
        let first = done(&crew).await;
        let (lost, tells) = begin(&crew);
        drop(lost);
        tells.await.unwrap_err();
        assert_ne!(done(&crew).await, first);
    }

    #[tokio::test]
    async fn more_tasks_than_may_wait_end_and_so_do_all_once_nobody_has_work() {
        let crew = Crew::new(Tell);
        let begun: Vec<_> = (0..IDLE_MAX + 3).map(|_| begin(&crew)).collect();
        for (end, tells) in begun {
            end.send(()).unwrap();
            tells.await.unwrap();
        }
        let idle = Arc::downgrade(&crew.work);
        assert_eq!(crew.idle.0.lock().unwrap().len(), IDLE_MAX);
        drop(crew);
        while idle.strong_count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
