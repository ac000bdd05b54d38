# One image for every process of the service: `chainrule api`, `chainrule worker`, `chainrule migrate`.

# The base image of both stages; `python:3.13-slim@sha256:…` pins it (docs/guides/deploy.md).
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS builder
# Extras of pyproject.toml, such as `--extra bucket` for CHAINRULE_BLOBS_URL.
ARG EXTRAS=
ENV UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never
WORKDIR /src
COPY pyproject.toml requirements.lock ./
# The tool that reads the lock file, by its own hash there. It stays in this stage, as the build does.
RUN sed -n '/^uv==/,/[^\\]$/p' requirements.lock | python3 -m pip install --no-cache-dir --require-hashes -r /dev/stdin
# Compile bytecode here, since the service's root file system is read-only. NumPy's tests are a tenth of the image layer.
RUN --mount=type=cache,target=/root/.cache/uv \
    python3 -m venv --without-pip /opt/chainrule \
    && uv pip install --python /opt/chainrule --compile-bytecode --require-hashes -c requirements.lock -r pyproject.toml ${EXTRAS} \
    && find /opt/chainrule/lib/python3*/site-packages/numpy -type d -name tests -prune -exec rm -r {} + \
    && python3 -m venv --without-pip /opt/build \
    && uv pip install --python /opt/build --require-hashes -c requirements.lock --group build
COPY . .
RUN uv build --python /opt/build --no-build-isolation --wheel --out-dir /tmp/wheel \
    && uv pip install --python /opt/chainrule --compile-bytecode --no-deps --no-index /tmp/wheel/*.whl

FROM ${PYTHON}
# At first use a volume takes the owner of the folder that it is mounted on.
RUN install -d -m 0750 -o 10001 -g 10001 /var/lib/chainrule /run/secrets
COPY --from=builder /opt/chainrule /opt/chainrule
ENV PATH=/opt/chainrule/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    CHAINRULE_DATA_DIR=/var/lib/chainrule
WORKDIR /var/lib/chainrule
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["chainrule"]
