//! Definitions that were read before, by id and version. Bounded: beyond, it starts anew.

use crate::plan::Prepared;
use haul_core::{
    JobTemplate,
    schedules::{Schedule, ScheduleId},
};
use haul_schedule::ScheduleSpec;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};

/// Definitions that are kept.
const DEFINITIONS_MAX: usize = 50_000;
/// Bytes of payloads that are kept with them.
const PAYLOAD_BYTES_MAX: usize = 64 * 1_024 * 1_024;

/// A definition, or why it cannot be read.
pub(crate) type Read = Result<Arc<Prepared>, Arc<str>>;

/// What was read before.
#[derive(Default)]
pub(crate) struct Cache(Mutex<Definitions>);

#[derive(Default)]
struct Definitions {
    by_id: HashMap<ScheduleId, (i64, Read)>,
    payload_bytes: usize,
}

impl Cache {
    /// The definition of this version.
    pub(crate) fn get(&self, id: ScheduleId, version: i64) -> Option<Read> {
        let definitions = self.0.lock();
        definitions.by_id.get(&id).filter(|(known, _)| *known == version).map(|(_, read)| read.clone())
    }

    /// Reads a definition and keeps it.
    pub(crate) fn put(&self, schedule: &Schedule) {
        let read = read(schedule).map(Arc::new).map_err(Arc::from);
        let bytes = payload_bytes(&read);
        let mut definitions = self.0.lock();
        if definitions.by_id.len() >= DEFINITIONS_MAX || definitions.payload_bytes + bytes > PAYLOAD_BYTES_MAX {
            *definitions = Definitions::default();
        }
        definitions.payload_bytes += bytes;
        if let Some((_, old)) = definitions.by_id.insert(schedule.id, (schedule.version, read)) {
            definitions.payload_bytes -= payload_bytes(&old);
        }
    }
}

fn payload_bytes(read: &Read) -> usize {
    read.as_ref().map_or(0, |prepared| prepared.template.payload.len())
}

/// Reads a stored definition. The text of an error goes to whoever looks at the schedule.
fn read(schedule: &Schedule) -> Result<Prepared, String> {
    let definition = &schedule.definition;
    let spec: ScheduleSpec =
        serde_json::from_str(&definition.spec).map_err(|error| format!("the schedule cannot be read: {error}"))?;
    let template = JobTemplate::decode(&definition.template).map_err(|error| format!("the job {error}"))?;
    let checked = spec.validate().map_err(|errors| format!("the schedule is not valid: {errors}"))?;
    Ok(Prepared { key: schedule.key.clone(), schedule: checked, template })
}
