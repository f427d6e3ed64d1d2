# syntax=docker/dockerfile:1
# cbir in a container. Target `search` (the default of docker compose's cbir) has no TensorFlow;
# target `train` adds it. Collections, models and runs are kept in the volume /home/cbir/data.

FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY core core
COPY cbir cbir
COPY collection collection
COPY evaluate evaluate
COPY ingest ingest
COPY model model
COPY search search
RUN python -m venv /opt/cbir \
    && /opt/cbir/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[figures,words]'

FROM build AS build-train
RUN /opt/cbir/bin/pip install --no-cache-dir --disable-pip-version-check -c constraints.txt '.[train,figures,words]'

FROM python:3.11-slim AS runtime
RUN useradd --uid 10001 --create-home cbir && install -d -o cbir -g cbir /home/cbir/data
ENV PATH=/opt/cbir/bin:$PATH \
    CBIR_HOME=/home/cbir/data \
    PYTHONUNBUFFERED=1
USER 10001
WORKDIR /home/cbir
VOLUME /home/cbir/data
ENTRYPOINT ["cbir"]
CMD ["info"]

FROM runtime AS train
COPY --from=build-train /opt/cbir /opt/cbir

FROM runtime AS search
COPY --from=build /opt/cbir /opt/cbir
