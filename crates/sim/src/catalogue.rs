//! Everything that can go wrong in a world, and how often it did: each fault is counted where it strikes.
//!
//! What a fault of the network is to a node is an [`Outcome`] and a time, as the real outbound calls have it
//! (`crates/server/src/outbound`). Beside each such fault stands the test in which a real receiver does it to a real
//! call. Several look alike: then they differ in when they show, and that is said.
//!
//! [`Outcome`]: notify::node::Outcome

use std::fmt;

/// Where a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Network,
    Time,
    Storage,
    Process,
    Life,
    Retention,
}

impl Place {
    pub fn name(self) -> &'static str {
        match self {
            Place::Network => "network",
            Place::Time => "time",
            Place::Storage => "storage",
            Place::Process => "process",
            Place::Life => "life of a subscription",
            Place::Retention => "retention",
        }
    }
}

macro_rules! catalogue {
    ($($variant:ident $place:ident $name:literal $looks:literal $shown:expr),* $(,)?) => {
        /// A fault.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault { $($variant),* }

        impl Fault {
            pub const ALL: &'static [Fault] = &[$(Fault::$variant),*];

            pub fn place(self) -> Place {
                match self { $(Fault::$variant => Place::$place),* }
            }

            pub fn name(self) -> &'static str {
                match self { $(Fault::$variant => $name),* }
            }

            /// What the node sees of it.
            pub fn looks(self) -> &'static str {
                match self { $(Fault::$variant => $looks),* }
            }

            /// The test of the outbound calls that shows the same, for a fault of the network.
            pub fn shown_by(self) -> Option<&'static str> {
                match self { $(Fault::$variant => $shown),* }
            }
        }
    };
}

catalogue! {
    ConnectionRefused Network "connection refused" "unreachable after a way there and back"
        Some("nobody_at_the_port_and_an_unknown_name_are_unreachable"),
    ResetConnecting Network "reset when just connected" "unreachable after a way there and back"
        Some("broken_connection_is_unreachable_at_each_phase"),
    ResetInTls Network "reset in the TLS handshake" "unreachable after two ways"
        Some("broken_connection_in_the_tls_handshake_is_unreachable"),
    ResetInRequestHead Network "reset in the request's head" "unreachable after three ways"
        Some("broken_connection_is_unreachable_at_each_phase"),
    ResetInRequestBody Network "reset in the request's body" "unreachable after three ways and as long as the body takes"
        Some("broken_connection_in_the_body_of_a_request_is_unreachable"),
    ResetBeforeAnswer Network "reset instead of an answer" "unreachable when the answer was due: what was sent may have been taken"
        Some("broken_connection_is_unreachable_at_each_phase"),
    ResetInResponseHead Network "reset in the response's head" "unreachable when the answer was due"
        Some("broken_connection_is_unreachable_at_each_phase"),
    ResetInResponseBody Network "reset in the response's body" "unreachable some time after the answer began"
        Some("broken_connection_is_unreachable_at_each_phase"),
    Malformed Network "an answer that is not HTTP" "unreachable when the answer was due"
        Some("malformed_answer_is_none"),
    Hanging Network "a connection and no answer" "timed out at the deadline"
        Some("slow_receiver_that_says_nothing_is_left_in_time"),
    AnswerLost Network "an answer that is lost on its way" "timed out at the deadline: what was sent was taken"
        Some("slow_receiver_that_says_nothing_is_left_in_time"),
    SlowLoris Network "headers for ever, little by little" "timed out at the deadline"
        Some("slow_receiver_of_one_byte_at_a_time_is_left_in_time"),
    ByteASecond Network "a body of one byte a second" "timed out at the deadline"
        Some("slow_receiver_of_one_byte_at_a_time_is_left_in_time"),
    RequestNotRead Network "a request that nobody reads" "timed out at the deadline"
        Some("slow_receiver_that_does_not_read_is_left_in_time"),
    EndlessBody Network "an endless body after a good status" "acknowledged once 64 KiB were read"
        Some("endless_answer_is_cut_and_counts_by_its_status"),
    EndlessHead Network "a head without an end" "unreachable once as much was read as may be"
        Some("endless_answer_that_never_comes_to_its_body_is_broken_off"),
    HeaderFlood Network "100,000 headers" "unreachable once as much was read as may be"
        Some("flood_of_headers_is_no_answer"),
    Redirects Network "a chain of redirects" "refused with 3xx; none is followed"
        Some("chain_of_redirects_is_one_answer"),
    Refused Network "a status of 4xx or 5xx" "refused"
        Some("any_2xx_acknowledges_and_nothing_else"),
    TooLarge Network "413 for more than so many notifications" "refused with 413"
        Some("any_2xx_acknowledges_and_nothing_else"),
    TlsExpired Network "a certificate that has expired" "unreachable after two ways"
        Some("impostor_of_a_receiver_is_told_nothing"),
    TlsWrongName Network "a certificate for another name" "unreachable after two ways"
        Some("impostor_of_a_receiver_is_told_nothing"),
    TlsProtocol Network "no version of TLS in common" "unreachable after two ways"
        Some("downgrade_of_tls_is_refused"),
    DnsFails Network "a name that does not resolve" "unresolved at once"
        Some("lying_name_server_leads_nowhere"),
    DnsHangs Network "a name server that says nothing" "timed out at the deadline"
        Some("silent_name_server_is_within_the_one_deadline"),
    DnsFlips Network "a name that leads to a forbidden address now and then" "forbidden at once; acknowledged when it leads elsewhere"
        Some("ssrf_by_dns_rebinding_reaches_only_what_was_vetted"),
    Forbidden Network "an address that the policy forbids" "forbidden at once"
        Some("ssrf_by_a_name_that_leads_to_a_forbidden_address_is_refused_when_connecting"),
    LateAnswer Network "an answer after 2.5 s or more" "acknowledged late, which makes an endpoint slow"
        Some("any_2xx_acknowledges_and_nothing_else"),
    AnswerTooLate Network "an answer after the deadline" "timed out at the deadline"
        Some("one_deadline_covers_silence_slow_headers_and_slow_bodies"),
    Flapping Network "a receiver that fails each second time" "as the fault that it flaps with, or acknowledged"
        Some("broken_connection_is_not_remembered"),
    EventRefused Network "an event that its receiver never takes" "refused with 400, 401, 403 or 413"
        Some("any_2xx_acknowledges_and_nothing_else"),
    EventGone Network "a receiver that wants no more events" "refused with 410"
        Some("any_2xx_acknowledges_and_nothing_else"),

    ClockForward Time "the wall clock steps forward" "a later wall time, by less than 3 s" None,
    ClockBack Time "the wall clock steps back" "an earlier wall time, by less than 3 s" None,
    ClockLeapsForward Time "the wall clock leaps forward, and back again" "a wall time that is 20 s to 5 h off" None,
    ClockLeapsBack Time "the wall clock leaps back, and forward again" "a wall time that is 20 s to 5 h off" None,
    Stalled Time "a process stands still" "nothing for 50 ms to 45 s, then all of it at once" None,
    ToldLate Time "an outcome is told late" "the outcome, up to 40 s after it was one" None,
    NotReady Time "a request is not ready in time" "not sent, at the deadline" None,

    CommitFails Storage "a write fails" "a failure; nothing was done" None,
    CommitUnknown Storage "a write is done and said to have failed" "a failure; all was done" None,
    CommitLate Storage "a write is done after it was said to have failed" "a failure; all is done up to a minute later" None,
    ReadFails Storage "a read fails" "a failure" None,
    LeaseUnknown Storage "leases are taken or extended, and said not to be" "a failure; the store holds them" None,
    StoreSlow Storage "the store is slow" "the answer, up to 4 s later" None,
    SubmitInPart Storage "a message reaches only some of its recipients" "not done yet" None,
    DeadLetterNotKept Storage "a dead letter is not kept" "not sent, timed out or refused" None,
    HintLost Storage "a hint is lost" "nothing, until the log is looked at" None,
    HintLate Storage "a hint comes late" "records, up to 4 s after they were committed" None,
    HintTwice Storage "a hint comes twice" "records that are known" None,
    HintBare Storage "a hint says nothing but that there is more" "that the log may have grown" None,
    HintInPart Storage "a hint has some of the records only" "records with gaps" None,

    Crash Process "a process dies" "nothing; it starts anew from the store" None,
    CrashBetween Process "a process dies between two of its commands" "nothing; the first are carried out, the rest not" None,
    DeadWrite Process "a write of a dead process is carried out" "a store that has moved on" None,
    DeadAttempt Process "an attempt of a dead process arrives" "nothing; its receiver has heard" None,
    LeaseLost Process "a lease ends and another takes it while its holder lives" "its partition is another's" None,
    Fenced Process "a checkpoint comes after its lease was taken" "fenced" None,
    Drained Process "a process is asked to stop, and does" "begin nothing new" None,
    DrainKilled Process "a process is asked to stop, and is killed before it has" "nothing; it starts anew" None,
    SlowTakenOver Process "a partition is taken over while an endpoint is slow" "what was stored of the endpoint" None,
    DroppingTakenOver Process "a partition is taken over while an endpoint is dropping" "what was stored of the endpoint" None,
    Darkness Process "all processes are down for longer than the horizon" "a log that is older than what may be sent" None,

    UrlPatched Life "a subscription moves to another URL" "a patch, with attempts at the old one in flight" None,
    CertificatePatched Life "a subscription's certificate changes" "a patch" None,
    CertificateUnusable Life "nothing can be sealed for a certificate" "a notification that cannot be told" None,
    ContentTooLarge Life "content is larger than may be sent" "a notification told without it" None,
    AccessLost Life "an app loses its access" "reauthorization is asked for; content is withheld" None,
    Pause Life "access was not shown again in time" "a pause, in which nothing is told" None,
    Deleted Life "an app deletes its subscription" "its end" None,
    UserDisabled Life "a user is disabled" "its end, with a last word" None,
    Expired Life "nobody renews a subscription" "its end" None,
    FilterPatched Life "the filter of an event subscription changes" "a patch" None,
    Stopped Life "an event subscription is stopped" "a pause, in which events are given up" None,
    EventReplayed Life "an operator has an event pushed again" "a record that tells of an earlier one" None,
    DroppedOnPurpose Life "an operator's rule drops something" "it is not in the request, whatever becomes of that" None,
    Replayed Life "an operator has things told again" "records that tell of earlier ones" None,

    RetentionSkipped Retention "a step for the log is not taken" "a log that stays long" None,
    RetentionLate Retention "a step is taken up to a minute late" "a log that is cut by an old plan" None,
    RetentionTwice Retention "a step is taken, and again later" "the same" None,
    RetentionSkewed Retention "a step is planned by a clock that is wrong" "a log that is cut too early or too late" None,
    CutInPart Retention "a log is cut in part" "a floor above the first record" None,
    LogCut Retention "a log's floor rises" "records that are gone" None,
    EventCut Retention "an event is not in the log any more when it is to be sent" "it is not in the request, and never will be" None,
    LogTooLong Retention "a log is too long, and what is parked keeps it" "a position up to which nothing may be parked" None,
}

/// How often each fault struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strikes([u64; Fault::ALL.len()]);

impl Default for Strikes {
    fn default() -> Self {
        Self([0; Fault::ALL.len()])
    }
}

impl Strikes {
    pub fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub fn add(&mut self, other: &Strikes) {
        for (sum, one) in self.0.iter_mut().zip(other.0) {
            *sum += one;
        }
    }

    pub fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }
}

impl fmt::Display for Strikes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut place = None;
        for fault in Fault::ALL {
            if place.replace(fault.place()) != Some(fault.place()) {
                writeln!(f, "{}", fault.place().name())?;
            }
            writeln!(f, "{:>13}  {}: {}", self.of(*fault), fault.name(), fault.looks())?;
        }
        Ok(())
    }
}
