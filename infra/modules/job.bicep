// A job of the runner, the first or the second: started by the dispatcher, one execution per start, ended by the platform after replicaTimeout.
param location string
param tags object
param name string
param environmentId string
param useGpu bool
param gpuProfileName string
param gpuProfileType string
@description('Processors and memory of further profile types.')
param gpuProfileSizes object
param image string
param registryServer string
param identityId string
param identityClientId string
param replicaTimeout int
param backend string
param accountName string
param inputContainer string
param outputContainer string
param processedContainer string
param errorContainer string
param stateContainer string
param debounceQueue string
param jobsQueue string
param scenePrefixDepth int
param maxGpuMinutesPerDay int
param moreSettings object

// It ends at once: an execution that is started before the first deployment costs nothing.
var nothing = 'mcr.microsoft.com/k8se/quickstart-jobs:latest'
// A GPU comes with all processors and memory of its size.
var knownSizes = {
  'Consumption-GPU-NC8as-T4': { cpu: '8', memory: '56Gi' }
  'Consumption-GPU-NC24-A100': { cpu: '24', memory: '220Gi' }
  Consumption: { cpu: '4', memory: '8Gi' }
}
var sizes = union(knownSizes, gpuProfileSizes)
var size = sizes[useGpu ? gpuProfileType : 'Consumption']

var settings = {
  RUN_MODE: 'queue'
  BACKEND: backend
  REPLICA_TIMEOUT_SECS: string(replicaTimeout)
  AZURE_STORAGE_ACCOUNT: accountName
  AZURE_STORAGE_ENDPOINT: 'https://${accountName}.blob.${environment().suffixes.storage}'
  AZURE_STORAGE_QUEUE_ENDPOINT: 'https://${accountName}.queue.${environment().suffixes.storage}'
  AZURE_USE_MANAGED_IDENTITY: 'true'
  AZURE_CLIENT_ID: identityClientId
  AZURE_BLOB_CONTAINER_INPUT: inputContainer
  AZURE_BLOB_CONTAINER_OUTPUT: outputContainer
  AZURE_BLOB_CONTAINER_PROCESSED: processedContainer
  AZURE_BLOB_CONTAINER_ERROR: errorContainer
  AZURE_BLOB_CONTAINER_STATE: stateContainer
  DEBOUNCE_QUEUE: debounceQueue
  JOBS_QUEUE: jobsQueue
  SCENE_PREFIX_DEPTH: string(scenePrefixDepth)
  MAX_GPU_MINUTES_PER_DAY: string(maxGpuMinutesPerDay)
  MACHINE_PROFILE: useGpu ? gpuProfileType : 'Consumption' // what the report reckons the cost by
  LOG_FORMAT: 'json'
}

var environmentOfRunner = [for item in items(union(settings, moreSettings)): { name: item.key, value: item.value }]

resource job 'Microsoft.App/jobs@2024-03-01' = {
  name: name
  location: location
  tags: tags
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: { '${identityId}': {} }
  }
  properties: {
    environmentId: environmentId
    workloadProfileName: useGpu ? gpuProfileName : 'Consumption'
    configuration: {
      triggerType: 'Manual'
      replicaTimeout: replicaTimeout
      replicaRetryLimit: 0 // attempts are counted by the message
      manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 }
      registries: [{ server: registryServer, identity: identityId }]
    }
    template: {
      containers: [
        {
          name: 'runner'
          image: empty(image) ? nothing : image
          resources: { cpu: json(size.cpu), memory: size.memory }
          env: environmentOfRunner
        }
      ]
    }
  }
}

output id string = job.id
