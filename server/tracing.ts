import { context, propagation, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace, type Context, type Span } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { detectResourcesSync, envDetectorSync, Resource } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type ReadableSpan, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { WorkflowClientInterceptor } from '@temporalio/client'
import { OpenTelemetryWorkflowClientInterceptor } from '@temporalio/interceptors-opentelemetry/lib/client/index.js'
import { makeWorkflowExporter, OpenTelemetryActivityInboundInterceptor } from '@temporalio/interceptors-opentelemetry/lib/worker/index.js'
import type { WorkerOptions } from '@temporalio/worker'
import type { FastifyInstance } from 'fastify'
import { exchanges } from '../connectors/http.ts'
import { routeOf } from './api/access-log.ts'
import { VERSION } from './version.ts'

// Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set: whoever traces nothing pays nothing.

/**
 * Traces from an API call through the workflow to each request to a destination, sent over OTLP/HTTP; the exporter and the sampler
 * read OpenTelemetry's own environment variables. Spans carry names, ids, route patterns and counts: no URLs, no row values, and of
 * an error its type only.
 */
export function startTracing(service: 'api' | 'worker') {
  const named = detectResourcesSync({ detectors: [envDetectorSync] }).attributes
  const resource = new Resource({ 'service.name': `tailrace-${service}`, 'service.version': VERSION, ...named })
  const processor = new BatchSpanProcessor(withoutErrorTexts(new OTLPTraceExporter()))
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] })
  provider.register({ contextManager: new AsyncLocalStorageContextManager().enable(), propagator: new W3CTraceContextPropagator() })
  traceExchanges()
  return {
    clientInterceptors: { workflow: [startsOnly()] },
    worker: {
      interceptors: { activity: [(activity) => ({ inbound: new OpenTelemetryActivityInboundInterceptor(activity) })] },
      sinks: { exporter: makeWorkflowExporter(processor, resource) },
    } satisfies Pick<WorkerOptions, 'interceptors' | 'sinks'>,
    traceRequests,
    /** Sends what is left. */
    close: () => provider.shutdown(),
  }
}

/** Not the looks of the reconcile loop, which would be a trace each, every 15 s. */
function startsOnly(): WorkflowClientInterceptor {
  const all = new OpenTelemetryWorkflowClientInterceptor()
  return {
    startWithDetails: (input, next) => context.with(callerOf(input.options.memo), () => all.startWithDetails(input, next)),
    startUpdate: (input, next) => all.startUpdate(input, next),
  }
}

/** Whose run it is; not who starts it, which may be a worker's reconcile loop. */
function callerOf(memo: Record<string, unknown> | undefined): Context {
  return propagation.extract(ROOT_CONTEXT, { traceparent: memo?.['traceparent'] })
}

const tracer = () => trace.getTracer('tailrace', VERSION)

/** Every request to a destination, as a child of the activity that makes it. */
function traceExchanges(): void {
  const spans = new WeakMap<object, Span>()
  exchanges.subscribe({
    start(exchange) {
      const { method, what, label } = exchange
      const attributes = { 'http.request.method': method, 'peer.service': label }
      spans.set(exchange, tracer().startSpan(what, { kind: SpanKind.CLIENT, attributes }))
    },
    asyncEnd(exchange) {
      const span = spans.get(exchange)
      if (exchange.result) span?.setAttribute('http.response.status_code', exchange.result.status)
      if (!exchange.result || exchange.result.status >= 400) span?.setStatus({ code: SpanStatusCode.ERROR })
      span?.end()
    },
    end: () => undefined,
    asyncStart: () => undefined,
    error: () => undefined,
  })
}

/** A span for each request to the API, by its route's pattern; goes on with the caller's trace if it names one. */
function traceRequests(app: FastifyInstance): void {
  const traced = new WeakMap<object, { readonly span: Span; readonly inside: Context }>()
  app.addHook('onRequest', async (request) => {
    const caller = propagation.extract(ROOT_CONTEXT, request.headers)
    const attributes = { 'http.request.method': request.method, 'http.route': routeOf(request) }
    const span = tracer().startSpan(`${request.method} ${routeOf(request)}`, { kind: SpanKind.SERVER, attributes }, caller)
    const inside = trace.setSpan(caller, span)
    // From here on it is this span that asks: a run keeps it, whoever starts its workflow.
    propagation.inject(inside, request.headers)
    traced.set(request, { span, inside })
  })
  // After the body was read: its events run outside of any context.
  app.addHook('preValidation', (request, _reply, done) => context.with(traced.get(request)?.inside ?? ROOT_CONTEXT, done))
  app.addHook('onResponse', async (request, reply) => {
    const span = traced.get(request)?.span
    span?.setAttribute('http.response.status_code', reply.statusCode)
    if (reply.statusCode >= 500) span?.setStatus({ code: SpanStatusCode.ERROR })
    span?.end()
  })
}

/** Error texts of databases and destinations may quote a row. */
function withoutErrorTexts(exporter: SpanExporter): SpanExporter {
  const bare = (span: ReadableSpan): ReadableSpan =>
    Object.create(span, {
      status: { value: { code: span.status.code } },
      events: {
        value: span.events.map(({ attributes, ...event }) => ({ ...event, attributes: pick(attributes, 'exception.type') })),
      },
    }) as ReadableSpan
  return {
    export: (spans, done) => exporter.export(spans.map(bare), done),
    shutdown: () => exporter.shutdown(),
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
  }
}

function pick(attributes: ReadableSpan['attributes'] | undefined, name: string): ReadableSpan['attributes'] {
  const value = attributes?.[name]
  return value === undefined ? {} : { [name]: value }
}
