//! haul-repair
