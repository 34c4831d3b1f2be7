# The service in an image: one binary with the built-in protocols, run by a user that owns nothing but /data.
#   docker build -t action-service .
# compose.yaml says how its parts run beside each other.

FROM rust:1.95-bookworm AS build
RUN rustup target add wasm32-wasip2
# Some of the built-in protocols are in Python and TypeScript.
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv nodejs npm && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
# The protocols come first: the binary carries them.
RUN ACTION_SERVICE_WASM_STD=rustup CI=1 scripts/build-guests.sh protocols \
    && cargo build --locked --release --bin action-service

FROM debian:bookworm-slim
# The certificates that Postgres, NATS and the command line check theirs against.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --no-create-home action && install -d -o action -g action -m 0700 /data
COPY --from=build /source/target/release/action-service /usr/local/bin/
USER action
ENV ACTION_SERVICE_DATA_DIR=/data \
    ACTION_SERVICE_PRIVATE_ADDR=0.0.0.0:8081 \
    ACTION_SERVICE_PUBLIC_ADDR=0.0.0.0:8080
VOLUME /data
EXPOSE 8080 8081
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s CMD ["action-service", "healthcheck"]
ENTRYPOINT ["action-service"]
CMD ["serve"]
