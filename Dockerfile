# syntax=docker/dockerfile:1

# Build stage: the `dist` profile, with the toolchain of the image (rust-toolchain.toml is not copied).
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --package tollkeeper \
    && install -D target/dist/tollkeeper /out/tollkeeper \
    && install -d /out/data

# Runtime stage: the binary, its certificates for PostgreSQL over TLS, and an empty data directory.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 tollkeeper \
    && useradd --system --uid 10001 --gid tollkeeper --home-dir /data --shell /usr/sbin/nologin tollkeeper
COPY --from=build /out/tollkeeper /usr/local/bin/tollkeeper
COPY --from=build --chown=tollkeeper:tollkeeper /out/data /data

USER tollkeeper
WORKDIR /data
# TOLLKEEPER_DATA is not set, because it excludes TOLLKEEPER_DATABASE_URL; the default is
# tollkeeper-data in the working directory.
ENV TOLLKEEPER_LISTEN=0.0.0.0:8080
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# The image has no curl, so bash asks over its /dev/tcp.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s CMD ["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/8080 && printf 'GET /healthz HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n' >&3 && head -n 1 <&3 | grep -q ' 200 '"]
ENTRYPOINT ["tollkeeper"]
CMD ["serve"]
