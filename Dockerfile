# One image for every role: docker-compose.yml says which command each container runs.
FROM python:3.11-slim AS build
WORKDIR /build
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY pipeline pipeline
# Only what production needs, workers and console: the emulator and the embedded Redis are the `local` extra.
RUN python -m venv /opt/pipeline && /opt/pipeline/bin/pip install --no-cache-dir --constraint constraints.txt '.[console]'

FROM python:3.11-slim
# A fixed id, so that volumes keep their owner over rebuilds.
RUN groupadd --gid 10001 pipeline \
    && useradd --uid 10001 --gid pipeline --no-create-home --home-dir /var/lib/pipeline pipeline \
    && install --directory --owner=pipeline --group=pipeline /var/lib/pipeline
COPY --from=build /opt/pipeline /opt/pipeline
ENV PATH=/opt/pipeline/bin:$PATH PYTHONUNBUFFERED=1
USER pipeline
WORKDIR /var/lib/pipeline
ENTRYPOINT ["pipeline"]
CMD ["--help"]
