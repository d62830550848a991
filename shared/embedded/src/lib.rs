//! haul-embedded
