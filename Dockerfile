# Build: docker build -t k2workers .
# Run:   docker run --name k2-binance-stream -v k2:/var/lib/k2workers/state -p 127.0.0.1:9091:9091 -p 127.0.0.1:5555:5555 -p 127.0.0.1:5556:5556 -p 127.0.0.1:5557:5557 k2workers --shards 8
# Not the slim one: it has the compiler that builds the native lane.
FROM python:3.11 AS packages
COPY config/requirements.txt /tmp/requirements.txt
RUN python -m venv /opt/k2workers && \
    /opt/k2workers/bin/pip install --no-cache-dir --no-deps --require-hashes -r /tmp/requirements.txt
COPY k2workers /srv/k2workers
RUN PYTHONPATH=/srv /opt/k2workers/bin/python -m k2workers.native

FROM python:3.11-slim
LABEL org.opencontainers.image.title="k2-binance-stream" \
      org.opencontainers.image.licenses="MIT"
RUN useradd --system --create-home --home-dir /var/lib/k2workers k2workers && \
    install --directory --owner=k2workers /var/lib/k2workers/state
COPY --from=packages /opt/k2workers /opt/k2workers
COPY --from=packages /srv/k2workers /srv/k2workers
# The user below may not write the bytecode: without it every process would compile every module at each start.
RUN /opt/k2workers/bin/python -m compileall -q /srv/k2workers
COPY config/k2workers.toml /var/lib/k2workers/config/k2workers.toml
USER k2workers
WORKDIR /var/lib/k2workers
# Inside a container, ports are published by the container's network, not by loopback.
ENV PYTHONPATH=/srv \
    PYTHONUNBUFFERED=1 \
    K2_HTTP_HOST=0.0.0.0 \
    K2_PUBLISH_ENDPOINT=tcp://0.0.0.0:5555 \
    K2_SNAPSHOT_ENDPOINT=tcp://0.0.0.0:5556 \
    K2_CHECKPOINT=/var/lib/k2workers/state/checkpoint
# With a volume here, the feed continues after the container is replaced.
VOLUME /var/lib/k2workers/state
EXPOSE 9091 5555 5556 5557
STOPSIGNAL SIGTERM
# Without the environment's proxy, whose loopback is another machine's.
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
    CMD ["/opt/k2workers/bin/python", "-c", "import urllib.request as r; r.build_opener(r.ProxyHandler({})).open('http://127.0.0.1:9091/healthz', timeout=2)"]
# Exec form: Python is PID 1 and receives SIGTERM itself; it drains and reaps its children.
ENTRYPOINT ["/opt/k2workers/bin/python", "-m", "k2workers"]
