{{/* The pod of a component: (dict "root" $ "component" "api"). The three differ in their verb, ports, probes and secrets only. */}}
{{- define "tailrace.pod" -}}
{{- $ := .root -}}
{{- $component := .component -}}
{{- $own := index $.Values $component -}}
{{- $serves := ne $component "migrate" -}}
{{- $tls := $.Values.temporal.tls -}}
{{- /* The Temporal Worker Controller sets the connection itself and refuses a second word on it. */ -}}
{{- $controlled := and (eq $component "worker") (eq $own.kind "WorkerDeployment") -}}
{{- $clientTls := and $tls.existingSecret (not $controlled) -}}
{{- $apiKey := and $.Values.secretKeys.temporalApiKey (not $controlled) -}}
{{- $tokens := and $.Values.secretKeys.apiTokens (eq $component "api") -}}
{{- $files := and (eq $component "worker") $own.secretsFrom -}}
metadata:
  labels:
    {{- include "tailrace.labels" . | nindent 4 }}
    {{- with $own.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $own.podAnnotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  serviceAccountName: {{ include "tailrace.serviceAccount" . }}
  # Nothing here talks to Kubernetes.
  automountServiceAccountToken: false
  # Kubernetes would set TAILRACE_PORT=tcp://… for a Service called tailrace.
  enableServiceLinks: false
  {{- with $.Values.imagePullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  securityContext:
    {{- toYaml $.Values.podSecurityContext | nindent 4 }}
  {{- if $serves }}
  terminationGracePeriodSeconds: {{ $own.terminationGracePeriodSeconds }}
  {{- else }}
  restartPolicy: Never
  {{- end }}
  {{- with $own.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  containers:
    - name: {{ $component }}
      image: {{ include "tailrace.image" $ }}
      imagePullPolicy: {{ $.Values.image.pullPolicy }}
      args: [{{ $component }}]
      securityContext:
        {{- toYaml $.Values.containerSecurityContext | nindent 8 }}
      env:
        - name: DATABASE_URL
          valueFrom:
            secretKeyRef: { name: {{ $.Values.existingSecret }}, key: {{ $.Values.secretKeys.databaseUrl }} }
        {{- if not $controlled }}
        - { name: TEMPORAL_ADDRESS, value: {{ $.Values.temporal.address | quote }} }
        - { name: TEMPORAL_NAMESPACE, value: {{ $.Values.temporal.namespace | quote }} }
        {{- if $tls.enabled }}
        - { name: TEMPORAL_TLS, value: "true" }
        {{- end }}
        {{- with $tls.serverName }}
        - { name: TEMPORAL_TLS_SERVER_NAME, value: {{ . | quote }} }
        {{- end }}
        {{- end }}
        {{- if $clientTls }}
        - { name: TEMPORAL_TLS_CLIENT_CERT_PATH, value: /run/secrets/temporal-tls/tls.crt }
        - { name: TEMPORAL_TLS_CLIENT_KEY_PATH, value: /run/secrets/temporal-tls/tls.key }
        {{- with $tls.caKey }}
        - { name: TEMPORAL_TLS_SERVER_CA_CERT_PATH, value: /run/secrets/temporal-tls/{{ . }} }
        {{- end }}
        {{- end }}
        {{- if $apiKey }}
        - { name: TEMPORAL_API_KEY_FILE, value: /run/secrets/temporal-api-key/key }
        {{- end }}
        - { name: LOG_LEVEL, value: {{ $.Values.logLevel | quote }} }
        {{- if $serves }}
        - { name: TAILRACE_TASK_QUEUE, value: {{ $.Values.temporal.taskQueue | quote }} }
        {{- with $.Values.otlpEndpoint }}
        - { name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ . | quote }} }
        {{- end }}
        {{- end }}
        {{- if eq $component "api" }}
        - { name: TAILRACE_HOST, value: 0.0.0.0 }
        {{- with $.Values.temporal.uiUrl }}
        - { name: TEMPORAL_UI_URL, value: {{ . | quote }} }
        {{- end }}
        {{- if $tokens }}
        - { name: TAILRACE_API_TOKENS_FILE, value: /run/secrets/tailrace-api/tokens.yaml }
        {{- end }}
        {{- with $.Values.secretKeys.apiToken }}
        - name: TAILRACE_API_TOKEN
          valueFrom:
            secretKeyRef: { name: {{ $.Values.existingSecret }}, key: {{ . }} }
        {{- end }}
        {{- if $.Values.oidc.issuer }}
        - { name: TAILRACE_OIDC_ISSUER, value: {{ $.Values.oidc.issuer | quote }} }
        - { name: TAILRACE_OIDC_AUDIENCE, value: {{ $.Values.oidc.audience | quote }} }
        {{- end }}
        {{- end }}
        {{- if eq $component "worker" }}
        - { name: TAILRACE_RETENTION_DAYS, value: {{ $.Values.retentionDays | quote }} }
        {{- if $own.temporalMetrics }}
        - { name: TAILRACE_TEMPORAL_METRICS_PORT, value: "9465" }
        {{- end }}
        {{- end }}
        {{- with concat $.Values.extraEnv $own.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with concat $.Values.extraEnvFrom $own.extraEnvFrom }}
      envFrom:
        {{- toYaml . | nindent 8 }}
      {{- end }}
      {{- if $serves }}
      ports:
        {{- if eq $component "api" }}
        - { name: http, containerPort: 8080 }
        {{- end }}
        - { name: metrics, containerPort: 9464 }
        {{- if and (eq $component "worker") $own.temporalMetrics }}
        - { name: temporal, containerPort: 9465 }
        {{- end }}
      # Both the api and the worker begin to listen once they are set up.
      startupProbe:
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 2
        failureThreshold: 60
      # Answered by the process's own event loop, so that a hang fails it; a plan may keep the loop busy for a moment.
      livenessProbe:
        httpGet: { path: /livez, port: metrics }
        periodSeconds: 10
        timeoutSeconds: 5
        failureThreshold: 6
      readinessProbe:
        httpGet: { path: /readyz, port: metrics }
        periodSeconds: 5
        timeoutSeconds: 5
      {{- end }}
      {{- if eq $component "api" }}
      lifecycle:
        # Load balancers go on sending until they have heard that the pod leaves.
        preStop: { exec: { command: [sleep, "5"] } }
      {{- end }}
      resources:
        {{- toYaml $own.resources | nindent 8 }}
      volumeMounts:
        - { name: tmp, mountPath: /tmp }
        {{- if $clientTls }}
        - { name: temporal-tls, mountPath: /run/secrets/temporal-tls, readOnly: true }
        {{- end }}
        {{- if $apiKey }}
        - { name: temporal-api-key, mountPath: /run/secrets/temporal-api-key, readOnly: true }
        {{- end }}
        {{- if $tokens }}
        - { name: api-tokens, mountPath: /run/secrets/tailrace-api, readOnly: true }
        {{- end }}
        {{- if $files }}
        - { name: secrets, mountPath: /run/secrets/tailrace, readOnly: true }
        {{- end }}
        {{- with $own.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - { name: tmp, emptyDir: {} }
    {{- if $clientTls }}
    - { name: temporal-tls, secret: { secretName: {{ $tls.existingSecret }} } }
    {{- end }}
    {{- if $apiKey }}
    - name: temporal-api-key
      secret:
        secretName: {{ $.Values.existingSecret }}
        items: [{ key: {{ $.Values.secretKeys.temporalApiKey }}, path: key }]
    {{- end }}
    {{- if $tokens }}
    - name: api-tokens
      secret:
        secretName: {{ $.Values.existingSecret }}
        items: [{ key: {{ $.Values.secretKeys.apiTokens }}, path: tokens.yaml }]
    {{- end }}
    {{- if $files }}
    - { name: secrets, secret: { secretName: {{ $own.secretsFrom }} } }
    {{- end }}
    {{- with $own.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with $own.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $own.topologySpreadConstraints }}
  topologySpreadConstraints:
    {{- range . }}
    - labelSelector:
        matchLabels:
          {{- include "tailrace.selector" (dict "root" $ "component" $component) | nindent 10 }}
      {{- toYaml . | nindent 6 }}
    {{- end }}
  {{- end }}
{{- end -}}
