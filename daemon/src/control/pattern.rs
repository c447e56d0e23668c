//! Regular expressions of filters: parsed within limits, compiled once for all connections that use them.
//!
//! A pattern of some bytes may take seconds to compile and hundreds of megabytes. So its length and nesting are limited
//! before it is parsed, the compiled programs while they are built, and the memory is charged to the connection.

use std::collections::HashMap;
use std::io;
use std::sync::mpsc::{self, SendError};
use std::sync::{Arc, Weak};
use std::thread;

use parking_lot::Mutex;
use regex_automata::Input;
use regex_automata::meta::{Cache, Config, Regex};
use regex_automata::nfa::thompson::WhichCaptures;
use regex_syntax::ParserBuilder;
use tokio::sync::oneshot;
use udpchat_api::{ErrorKind, ErrorObject};

use super::memory::{Account, Charge, Running, Shared, SharedUse};
use super::users::Turn;
use crate::index::predicate::Predicate;
use crate::index::regex_terms;

/// How long a pattern may be, in bytes, and how deep its groups and classes may be nested.
const MAX_BYTES: usize = 1024;
const MAX_NESTING: u32 = 50;

/// How long plain text may be that is compiled at once, without a thread, and how much memory that takes at most, in bytes.
const MAX_LITERAL_BYTES: usize = 64;
const LITERAL_BYTES: usize = 128 * 1024;

/// How much memory each compiled program may take, in bytes.
const MAX_PROGRAM_BYTES: usize = 1024 * 1024;

/// How much memory a search caches in addition to the program, in bytes: states of the lazy DFA, above all.
const MAX_CACHED_STATES_BYTES: usize = 1024 * 1024;

/// How much memory one search takes at most, in bytes.
pub(super) const MAX_SEARCH_BYTES: usize = 4 * MAX_CACHED_STATES_BYTES;

/// How many patterns the cache holds before those that are no longer used are removed from it.
const MAX_CACHED: usize = 256;

/// A pattern that a connection uses.
#[derive(Debug)]
pub(super) struct Pattern {
    compiled: Arc<Compiled>,
    _memory: SharedUse,
}

/// A compiled pattern.
#[derive(Debug)]
struct Compiled {
    regex: Regex,
    /// What the messages that match it contain.
    predicate: Arc<Predicate>,
    memory: Shared,
}

/// The memory of one search.
#[derive(Debug)]
pub(super) struct Search(Cache);

impl Pattern {
    /// Returns what the messages that match it contain.
    pub(super) fn predicate(&self) -> &Arc<Predicate> {
        &self.compiled.predicate
    }

    /// Returns the memory for a search. It is freed with the search, so that patterns that are in use hold little.
    pub(super) fn search(&self) -> Search {
        Search(self.compiled.regex.create_cache())
    }

    /// Returns whether a text contains a match.
    pub(super) fn is_match(&self, search: &mut Search, text: &str) -> bool {
        self.compiled.regex.is_match_with(&mut search.0, &Input::new(text))
    }
}

#[cfg(fuzzing)]
impl Search {
    /// Returns how much memory it takes, in bytes.
    pub(super) fn memory_usage(&self) -> usize {
        self.0.memory_usage()
    }
}

/// The patterns that connections use.
#[derive(Debug)]
pub(super) struct Patterns {
    /// By their text. All have the same flags.
    known: Mutex<HashMap<Box<str>, Weak<Compiled>>>,
    /// Leads to the thread that compiles, one pattern after the other, so that compiling takes one core at most.
    compiler: Mutex<mpsc::Sender<Job>>,
}

/// A pattern to compile.
type Job = Box<dyn FnOnce() + Send>;

impl Default for Patterns {
    fn default() -> Self {
        // The thread starts with the first job.
        let (compiler, _) = mpsc::channel();
        Self { known: Mutex::default(), compiler: Mutex::new(compiler) }
    }
}

impl Patterns {
    /// Returns a compiled pattern: one that a connection uses already, or a new one.
    ///
    /// # Errors
    /// Fails if the pattern is not valid, or exceeds a limit, and with `busy` if there is no turn or no memory in time.
    pub(super) async fn obtain(
        self: &Arc<Self>,
        text: &str,
        account: &Arc<Account>,
    ) -> Result<Arc<Pattern>, ErrorObject> {
        // This costs nothing, so it comes before memory is charged.
        check_length(text)?;
        let (compiled, memory) = match self.get(text) {
            Some(compiled) => (compiled, None),
            None if is_short_literal(text) => self.compile(text, account.charge(LITERAL_BYTES).await?)?,
            None => {
                let turn = account.user.turn().await?;
                let memory = account.charge(compile_bytes(text)).await?;
                let until_compiled = (turn, account.begin_work());
                self.compile_on_the_thread(text.to_owned(), until_compiled, memory).await?
            }
        };
        let memory = match memory {
            Some(memory) => memory,
            None => account.share(&compiled.memory).await?,
        };
        Ok(Arc::new(Pattern { compiled, _memory: memory }))
    }

    fn get(&self, text: &str) -> Option<Arc<Compiled>> {
        self.known.lock().get(text)?.upgrade()
    }

    /// Compiles a pattern on the thread for that, which may take some tenths of a second. The turn ends with it, whether the
    /// client waits or not.
    async fn compile_on_the_thread(
        self: &Arc<Self>,
        text: String,
        until_compiled: (Turn, Running),
        memory: Charge,
    ) -> Result<(Arc<Compiled>, Option<SharedUse>), ErrorObject> {
        let failed = || ErrorObject::new(ErrorKind::Internal, "compiling the pattern failed");
        let (done, compiled) = oneshot::channel();
        let patterns = Arc::clone(self);
        let job = move || {
            // The client may have disconnected.
            let _sent = done.send(patterns.compile(&text, memory));
            drop(until_compiled);
        };
        self.start(Box::new(job)).map_err(|_| failed())?;
        compiled.await.map_err(|_| failed())?
    }

    /// Gives a job to the thread. Starts the thread if there is none yet, or if a panic has ended it.
    fn start(&self, job: Job) -> io::Result<()> {
        let mut compiler = self.compiler.lock();
        let Err(SendError(job)) = compiler.send(job) else { return Ok(()) };
        let (sender, jobs) = mpsc::channel();
        let run = move || {
            job();
            jobs.into_iter().for_each(|job: Job| job());
        };
        thread::Builder::new().name("pattern".to_owned()).spawn(run)?;
        *compiler = sender;
        Ok(())
    }

    /// Compiles a pattern, and returns it with its memory. A pattern that a connection uses by now is returned without.
    fn compile(
        &self,
        text: &str,
        mut memory: Charge,
    ) -> Result<(Arc<Compiled>, Option<SharedUse>), ErrorObject> {
        if let Some(compiled) = self.get(text) {
            return Ok((compiled, None));
        }
        let (regex, predicate) = compile(text)?;
        memory.shrink_to(regex.memory_usage() + text.len() + predicate.terms() * size_of::<Predicate>());
        let (memory, used) = memory.into_shared();
        let compiled = Arc::new(Compiled { regex, predicate: Arc::new(predicate), memory });
        let mut known = self.known.lock();
        if known.len() >= MAX_CACHED {
            known.retain(|_, pattern| pattern.strong_count() > 0);
        }
        known.insert(text.into(), Arc::downgrade(&compiled));
        Ok((compiled, Some(used)))
    }
}

/// Returns whether a pattern is plain text, and so short that it is compiled within some microseconds.
fn is_short_literal(text: &str) -> bool {
    text.len() <= MAX_LITERAL_BYTES && !text.chars().any(regex_syntax::is_meta_character)
}

/// Returns how much memory compiling a pattern may take, in bytes: the forward and the reverse program with what builds
/// them, and the parsed pattern, whose classes are large (`\W` has 770 ranges of characters).
fn compile_bytes(text: &str) -> usize {
    const PARSED_BYTES_PER_BYTE: usize = 12 * 1024;
    4 * MAX_PROGRAM_BYTES + PARSED_BYTES_PER_BYTE * text.len()
}

/// Refuses a pattern that is too long.
fn check_length(text: &str) -> Result<(), ErrorObject> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    let text = format!("the pattern has {} bytes; the maximum is {MAX_BYTES}", text.len());
    Err(refusal(&text, "search for a shorter part, or for several parts one after the other"))
}

fn compile(text: &str) -> Result<(Regex, Predicate), ErrorObject> {
    // As in grep, ^ and $ match at the ends of a line.
    let mut parser = ParserBuilder::new().nest_limit(MAX_NESTING).multi_line(true).build();
    let parsed = parser.parse(text).map_err(|error| {
        // The message marks the place below the pattern in several lines; the last one states the reason.
        let error = error.to_string();
        let what = error.lines().last().unwrap_or_default().trim_start_matches("error: ");
        refusal(
            &format!("invalid regular expression: {what}"),
            r"a backslash makes the next character literal: `\[`",
        )
    })?;
    let limits = Config::new()
        .nfa_size_limit(Some(MAX_PROGRAM_BYTES))
        .onepass_size_limit(Some(MAX_PROGRAM_BYTES))
        .hybrid_cache_capacity(MAX_CACHED_STATES_BYTES)
        // Where a match is does not matter, so no search needs memory for its groups.
        .which_captures(WhichCaptures::None);
    let regex = Regex::builder().configure(limits).build_from_hir(&parsed).map_err(|_| {
        let text = format!("the pattern takes more than {} KiB when compiled", MAX_PROGRAM_BYTES / 1024);
        refusal(&text, "use fewer classes such as `\\w`, or smaller numbers of repetitions")
    })?;
    Ok((regex, regex_terms::predicate(&parsed)))
}

fn refusal(text: &str, hint: &str) -> ErrorObject {
    ErrorObject::new(ErrorKind::InvalidParams, format!("`grep`: {text}")).hint(hint)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::control::memory::Memory;
    use crate::control::users::Users;

    const MIB: usize = 1024 * 1024;

    fn memory() -> Arc<Memory> {
        Memory::new(Arc::new(Users::new(64 * MIB)))
    }

    async fn charge(text: &str) -> Charge {
        memory().open(1, true).charge(compile_bytes(text)).await.unwrap()
    }

    #[tokio::test]
    async fn a_pattern_is_compiled_once_for_all_who_use_it() {
        let (patterns, memory) = (Arc::<Patterns>::default(), memory());
        let (ann, bob) = (memory.open(1, true), memory.open(2, false));
        let first = patterns.obtain("^a+$", &ann).await.unwrap();
        let second = patterns.obtain("^a+$", &bob).await.unwrap();
        assert!(Arc::ptr_eq(&first.compiled, &second.compiled));
        // As if bob's had been requested before ann's was ready.
        let (third, used) = patterns.compile("^a+$", charge("^a+$").await).unwrap();
        assert!(Arc::ptr_eq(&first.compiled, &third) && used.is_none());
        drop(third);
        let mut search = first.search();
        assert!(first.is_match(&mut search, "b\naaa\nb") && !first.is_match(&mut search, "ab"));
        drop((first, second));
        assert!(patterns.get("^a+$").is_none(), "no connection uses it");
    }

    #[tokio::test]
    async fn patterns_without_users_are_removed() {
        let patterns = Patterns::default();
        for number in 0..3 * MAX_CACHED {
            let text = number.to_string();
            let _unused = patterns.compile(&text, charge(&text).await).unwrap();
        }
        assert!(patterns.known.lock().len() <= MAX_CACHED);
    }

    #[tokio::test]
    async fn a_small_pattern_keeps_little_memory() {
        let memory = charge("hello").await;
        let (pattern, _used) = Patterns::default().compile("hello", memory).unwrap();
        assert!(pattern.regex.memory_usage() < 16 * 1024, "{}", pattern.regex.memory_usage());
    }

    #[test]
    fn a_panic_does_not_end_compiling() {
        let patterns = Patterns::default();
        patterns.start(Box::new(|| panic!("on purpose"))).unwrap();
        let (done, ran) = mpsc::channel();
        // A job that is sent before the thread has ended is lost.
        let attempt = || {
            let done = done.clone();
            patterns.start(Box::new(move || done.send(()).unwrap())).unwrap();
            ran.recv_timeout(Duration::from_millis(10)).is_ok()
        };
        while !attempt() {}
    }

    #[test]
    fn short_plain_text_is_a_literal() {
        assert!(is_short_literal("温度 25, ok") && is_short_literal(&"x".repeat(MAX_LITERAL_BYTES)));
        assert!(!is_short_literal(&"x".repeat(MAX_LITERAL_BYTES + 1)));
        for pattern in [r"\PL", "a+", "a|b", "[ab]", "(a)", "a{9}", "^a", "a$", "."] {
            assert!(!is_short_literal(pattern), "{pattern}");
        }
    }

    #[test]
    fn patterns_over_a_limit_are_refused() {
        let refused = |text: &str| compile(text).unwrap_err().message;
        let nested = |levels| format!("{}a{}", "(".repeat(levels), ")".repeat(levels));
        assert!(compile(&nested(MAX_NESTING as usize)).is_ok());
        assert!(refused(&nested(MAX_NESTING as usize + 1)).contains("nest"));
        assert!(refused(r"(((a{100}){100}){100}){100}").contains("1024 KiB"));
        assert!(refused(r"\w{100}").contains("1024 KiB"));
        assert!(check_length(&"a".repeat(MAX_BYTES)).is_ok());
        let error = check_length(&"a".repeat(MAX_BYTES + 1)).unwrap_err();
        assert!(error.message.contains("1025 bytes; the maximum is 1024"), "{error}");
        assert_eq!(error.data.kind, ErrorKind::InvalidParams);
    }

    #[test]
    fn the_largest_patterns_fit_the_memory_that_is_charged() {
        for piece in [r"\W", r"\PL", r"\pL", ".", r"[^a]", r"\w\W", r"(?i)\PL", r"(?i:k)", r"[\W&&\w]"] {
            let text = format!("(?i){}", piece.repeat((MAX_BYTES - 4) / piece.len()));
            if let Ok((regex, _)) = compile(&text) {
                assert!(regex.memory_usage() <= 4 * MAX_PROGRAM_BYTES, "{piece}: {}", regex.memory_usage());
            }
        }
    }
}
