//! The limits that hold everywhere, with their units. Configurable ones have their defaults in `default.toml` instead.

/// Characters in a queue, kind or tenant name.
pub const NAME_CHARS_MAX: usize = 100;
/// Attempts a job may ask for.
pub const ATTEMPTS_MAX: u16 = 1_000;
/// Crashes after which a job is dead: so many workers, or children of theirs, it has killed.
pub const CRASHES_MAX: u32 = 3;
/// Tags on one job.
pub const TAGS_MAX: usize = 16;
/// Characters in a tag's name.
pub const TAG_NAME_CHARS_MAX: usize = 64;
/// Characters in a tag's value.
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Characters in an idempotency key.
pub const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;
/// Bytes kept of an error's message; the rest is cut.
pub const ERROR_MESSAGE_BYTES_MAX: usize = 1_024;
/// Bytes kept of an error's detail; the rest is cut.
pub const ERROR_DETAIL_BYTES_MAX: usize = 8 * 1_024;
/// How far ahead a job may be scheduled, or have its deadline: ten years, in milliseconds.
pub const AHEAD_MS_MAX: i64 = 10 * 366 * 24 * 3_600 * 1_000;
/// The longest timeout of one attempt: 24 hours, in milliseconds.
pub const TIMEOUT_MS_MAX: u64 = 24 * 3_600 * 1_000;
/// The longest duration accepted anywhere: ten years, in milliseconds.
pub const SPAN_MS_MAX: u64 = AHEAD_MS_MAX.unsigned_abs();
/// Distinct queues that one tenant may create, and distinct kinds within one queue.
pub const QUEUES_MAX: usize = 10_000;
/// Distinct kinds within one queue.
pub const KINDS_PER_QUEUE_MAX: usize = 1_000;
/// Slots that a queue may be split over.
pub const SLOTS_MAX: u16 = 64;
/// Jobs that one attempt may enqueue with its outcome.
pub const FOLLOW_UPS_MAX: usize = 1_000;
/// Bytes in the name of a destination: scheme, host and port.
pub const DESTINATION_BYTES_MAX: usize = 280;
/// Destinations that a store of pace keeps; calls to further ones are not paced.
pub const DESTINATIONS_MAX: usize = 10_000;
/// Calls that one destination may have in flight, at most.
pub const IN_FLIGHT_MAX: u32 = 10_000;
/// Jobs that a destination's line remembers; those beyond come back at a time drawn by chance.
pub const LINE_JOBS_MAX: usize = 100_000;
