# The server as an image. `docker build -t twinfold .`; compose.yaml runs it beside ScyllaDB.
FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --release --locked --bin twinfold

FROM debian:bookworm-slim
RUN useradd --uid 10001 --home-dir /var/lib/twinfold --create-home --shell /usr/sbin/nologin twinfold
COPY --from=build /build/target/release/twinfold /usr/local/bin/twinfold
USER twinfold
# Generated secrets, and the store unless it is a cluster.
VOLUME /var/lib/twinfold
ENV TWINFOLD_DATA_DIR=/var/lib/twinfold/data
ENV TWINFOLD_HTTP__BIND=0.0.0.0:8080
ENV TWINFOLD_MQTT__BIND=0.0.0.0:1883
EXPOSE 8080 1883
ENTRYPOINT ["twinfold"]
CMD ["serve"]
