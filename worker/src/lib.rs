//! haul-worker
