# The `haul` binary in a small image: every role is a command of it. Built by `docker-compose build`.
#
# What the image runs is run by the tests as plain processes; the image itself is built where there is a container engine.

FROM rust:1.95-slim-bookworm AS build
# A C compiler for SQLite and ring comes with the image.
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/src/target \
    cargo build --locked --profile dist -p haul-cli && cp target/dist/haul /haul

FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/*
COPY --from=build /haul /usr/local/bin/haul
USER 65532:65532
# `haul up` keeps its ledger in ./haul-data: mount a volume on /data for it.
WORKDIR /data
ENTRYPOINT ["haul"]
CMD ["up", "--listen", "127.0.0.1:8080"]
