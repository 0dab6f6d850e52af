# respsel on a CPU, with llama.cpp and the small model of the quickstart.
#
#   docker build -t respsel .
#   docker run --rm respsel                                  the quickstart, about 2 minutes
#   docker run --rm --user "$(id -u)" -v "$PWD:/work" -w /work respsel run recipe.toml
FROM python:3.11-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends build-essential cmake \
 && rm -rf /var/lib/apt/lists/*
# The compiled llama.cpp must run on other processors than the one that builds the image.
ENV CMAKE_ARGS="-DGGML_NATIVE=OFF -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON"
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src src
COPY recipes recipes
RUN python -m venv /opt/respsel && /opt/respsel/bin/pip install --no-cache-dir '.[quickstart]'

FROM python:3.11-slim
# llama.cpp computes with OpenMP.
RUN apt-get update \
 && apt-get install -y --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/*
COPY --from=build /opt/respsel /opt/respsel
ENV PATH="/opt/respsel/bin:$PATH"
RUN useradd --create-home respsel
USER respsel
WORKDIR /home/respsel
COPY --chown=respsel respsel.toml ./
COPY --chown=respsel recipes recipes
ENTRYPOINT ["respsel"]
CMD ["run", "recipes/quickstart.toml"]
