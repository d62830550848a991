//! haul-redis
