//! What the jobs of a run are asked to do: made by the load, read by the handlers of `faults-worker`.

use serde::{Deserialize, Serialize};

/// The payload of every kind of `faults-worker`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    /// The submit that this is: names the effect at the third party, whatever the job's id.
    #[serde(rename = "ref")]
    pub key: String,
    /// How long to work, in milliseconds.
    #[serde(default)]
    pub ms: u64,
    /// How many attempts are to fail.
    #[serde(default)]
    pub fails: u32,
}
