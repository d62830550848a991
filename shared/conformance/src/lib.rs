//! haul-conformance
