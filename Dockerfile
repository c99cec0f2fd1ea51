# One image for api, worker, migrate, sandbox and every other verb of the CLI:
#   docker build -t tailrace .
#   docker run --rm tailrace validate --help
FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts scripts
COPY activities activities
COPY connectors connectors
COPY server server
COPY state state
COPY workflows workflows
RUN npm run build
# Embedded PostgreSQL is an optional package of `tailrace dev` and the demo; a service is given its database.
RUN npm prune --omit=dev --omit=optional --ignore-scripts
# Temporal's core comes built for five platforms (150 MB) and as source; one is used.
RUN cd node_modules/@temporalio/core-bridge && rm -r sdk-core && cd releases && ls | grep -vx "$(uname -m)-unknown-linux-gnu" | xargs rm -r
# What only compilers and debuggers read (45 MB).
RUN find node_modules -type f \( -name '*.map' -o -name '*.ts' -o -name '*.?ts' -o -name '*.md' \) -delete
# A browser's half of the login to Azure, which Snowflake's driver brings along (8 MB).
RUN rm -r node_modules/@azure/msal-browser

# glibc, because Temporal's core has no build for musl; not the node image, which brings npm, yarn and 67 MB of headers.
FROM debian:trixie-slim
# Temporal's core trusts the system's certificates, not those that Node brings.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/node /usr/local/bin/node
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
# Probes and Prometheus come from outside the container.
ENV TAILRACE_METRICS_HOST=0.0.0.0
# glibc keeps memory per thread: with two arenas a worker's peak is 268 MB instead of 357.
ENV MALLOC_ARENA_MAX=2
EXPOSE 8080 9464
USER 65532:65532
ENTRYPOINT ["node", "/app/dist/server/main.js"]
CMD ["--help"]
