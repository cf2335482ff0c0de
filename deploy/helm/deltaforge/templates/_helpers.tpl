{{- define "deltaforge.name" -}}
{{- if contains "deltaforge" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-deltaforge" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "deltaforge.selector" -}}
app.kubernetes.io/name: deltaforge
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "deltaforge.labels" -}}
{{ include "deltaforge.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "deltaforge.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- /* The Secret with the tokens: one that exists, or that of the chart. Without any the API would be open: refused. */ -}}
{{- define "deltaforge.authSecret" -}}
{{- if .Values.auth.existingSecret -}}
{{ .Values.auth.existingSecret }}
{{- else if and .Values.auth.adminToken .Values.auth.metricsToken -}}
{{ include "deltaforge.name" . }}-auth
{{- else -}}
{{ fail "set auth.existingSecret, or for a trial auth.adminToken and auth.metricsToken: the API is not exposed without tokens" }}
{{- end -}}
{{- end }}

{{- define "deltaforge.scheme" -}}
{{ if .Values.tls.existingSecret }}HTTPS{{ else }}HTTP{{ end }}
{{- end }}

{{- /* Whether the control plane accepts connections: GET /health is about pipelines, and everything else needs a token. */ -}}
{{- define "deltaforge.probe" -}}
tcpSocket: { port: api }
{{- end }}
