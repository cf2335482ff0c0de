{{- define "cluster.name" -}}
{{- if contains "deltaforge" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}{{ else }}{{ printf "%s-deltaforge" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "cluster.selector" -}}
app.kubernetes.io/name: deltaforge-cluster
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cluster.labels" -}}
{{ include "cluster.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "cluster.image" -}}
{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end }}
{{- end }}

{{- define "cluster.document" -}}
{{ required "set pipeline: the document of the pipeline that the pods run" .Values.pipeline }}
{{- end }}

{{- define "cluster.pipelineName" -}}
{{- $document := include "cluster.document" . | fromYaml -}}
{{- if $document.Error }}{{ fail (printf "pipeline is no YAML document: %s" $document.Error) }}{{ end -}}
{{ required "pipeline: the document has no metadata.name" (dig "metadata" "name" "" $document) }}
{{- end }}

{{- define "cluster.processes" -}}
{{- if lt (int .Values.processes) 2 }}{{ fail "processes: a cluster has two or more; for one pod there is the chart deltaforge" }}{{ end -}}
{{ int .Values.processes }}
{{- end }}

{{- /* Whatever differs between pods that must not work together is in it. */ -}}
{{- define "cluster.agreed" -}}
{{ printf "%s %s %s %d %v %v" (include "cluster.image" .) (include "cluster.document" .) (include "cluster.processes" .) (int .Values.workers) .Values.env .Values.envFrom | sha256sum }}
{{- end }}

{{- define "cluster.port" -}}
{{ add (int .Values.cluster.firstPort) (mod (include "cluster.agreed" . | adler32sum | int64) (int .Values.cluster.portRange)) }}
{{- end }}

{{- /* Whole names: the kubelet writes the pod's own one into its hosts file, so it can listen before any DNS knows it. */ -}}
{{- define "cluster.addresses" -}}
{{- $name := include "cluster.name" . -}}
{{- $port := include "cluster.port" . -}}
{{- $addresses := list -}}
{{- range $number := until (include "cluster.processes" . | int) -}}
{{- $addresses = append $addresses (printf "%s-%d.%s.%s.svc.%s:%s" $name $number $name $.Release.Namespace $.Values.cluster.domain $port) -}}
{{- end -}}
{{ join ";" $addresses }}
{{- end }}

{{- define "cluster.claim" -}}
{{ .Values.persistence.existingClaim | default (printf "%s-state" (include "cluster.name" .)) }}
{{- end }}
