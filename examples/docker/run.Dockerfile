# `adbench` for runs and boards on the CPU, as a user without rights. From the root of the repository:
#   docker build -f examples/docker/run.Dockerfile -t adbench .
#   docker run --rm -v "$PWD/parts:/data:ro" -v "$PWD/runs:/work/runs" adbench run --recipe adbench-lite --data /data
# The folder for results must belong to the user 10001, or give --user "$(id -u)".
# On a GPU: --build-arg BASE=<an image with Python and CUDA> --build-arg TORCH_INDEX=<the index of its torch>
ARG BASE=python:3.11-slim
FROM ${BASE}

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
ARG PLUGINS="memory gaussian reconstruction timm data onnx"
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} torch torchvision
COPY . /source
RUN pip install --no-cache-dir "/source[boards,onnxruntime,openvino]" \
        $(for plugin in ${PLUGINS}; do echo /source/plugins/adbench-${plugin}; done) \
    && rm -rf /source \
    && useradd --create-home --uid 10001 adbench \
    && install -d -o adbench -m 0777 /work /work/cache

ENV XDG_CACHE_HOME=/work/cache
USER adbench
WORKDIR /work
ENTRYPOINT ["adbench"]
CMD ["--help"]
