//! haul-api
