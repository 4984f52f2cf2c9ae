// Everything the system needs in Azure, in order. Each module is one resource or one concern; infra/README.md tells the parameters
// (azd variables) and outputs. Not here: the event subscription, which needs the deployed code (scripts/hooks/postdeploy.sh).
targetScope = 'subscription'

// ---- what and where ---------------------------------------------------------------------------------------------------------
@description('Name of the azd environment; part of every name.')
@minLength(1)
@maxLength(64)
param environmentName string
@description('Region; one with the GPU profile (scripts/hooks/preprovision.sh looks).')
param location string
@description('Object id of who deploys: may upload, fetch results and push images. Empty: gets nothing.')
param principalId string = ''
@allowed(['User', 'ServicePrincipal', 'Group'])
param principalType string = 'User'
@description('Object id of those who operate: may audit, redrive, cancel and delete. Empty: nobody may.')
param operatorsPrincipalId string = ''
@allowed(['User', 'ServicePrincipal', 'Group'])
param operatorsPrincipalType string = 'Group'
@description('Assign roles. False: provisioning needs Contributor only, and scripts/assign-rbac.sh follows.')
param includeRbac bool = true

// ---- compute ----------------------------------------------------------------------------------------------------------------
@description('False: the job runs on processors alone.')
param useGpu bool = true
@description('Type of the workload profile. Of one that modules/job.bicep does not know, gpuProfileSizes tells the size.')
param gpuProfileType string = 'Consumption-GPU-NC8as-T4'
@description('Name of the GPU profile within the environment; of a reused one, as it is called there.')
param gpuProfileName string = 'gpu'
@description('Processors and memory of further profile types, each as { cpu: \'24\', memory: \'220Gi\' }.')
param gpuProfileSizes object = {}
@description('Type of the profile of a second job, for days on which the first gets no machine; Consumption: processors alone. Empty: there is none.')
param gpuProfileFallback string = ''
@description('Name of that profile within its environment.')
param gpuProfileFallbackName string = 'gpu-fallback'
@description('Region of the second job, in an environment of its own. Empty: in the environment of the first.')
param gpuProfileFallbackLocation string = ''
@description('Variables of docs/configuration.md for the second job alone, as an object of strings.')
param fallbackSettings object = {}
@allowed(['auto', 'gsplat', 'cpu', 'mock'])
param processorBackend string = 'gsplat'
@description('Image of the job; azd and scripts/hooks/preprovision.sh keep it. Empty: one that does nothing, until the first deployment.')
param runnerImage string = ''
@description('When the platform ends an execution, seconds.')
param replicaTimeout int = 14400
param maxParallelJobs int = 3
@description('Minutes of executions per day (UTC) after which nothing is started: strangers with the right to upload cannot cost without end. 0: no limit.')
param maxGpuMinutesPerDay int = 600
@description('Seconds without an upload after which a scene is complete.')
param quietSeconds int = 60
@description('When the sweep runs: seconds, minutes, hours, day, month, weekday.')
param sweepSchedule string = '0 */5 * * * *'
@description('Folder levels that name a scene.')
param scenePrefixDepth int = 1
@description('Any other variable of docs/configuration.md for the job, as an object of strings.')
param runnerSettings object = {}
@description('Any other variable of docs/configuration.md for the function app, as an object of strings.')
param dispatcherSettings object = {}
@description('Python of the function app.')
param pythonVersion string = '3.11'
@description('Instances that are always there for blob events; each costs while it waits.')
param alwaysReadyInstances int = 0

// ---- names of data ----------------------------------------------------------------------------------------------------------
param inputContainer string = 'input'
param outputContainer string = 'output'
param processedContainer string = 'processed'
param errorContainer string = 'error'
param stateContainer string = 'state'
param debounceQueue string = 'debounce'
param jobsQueue string = 'jobs'
@description('Queue into which Event Grid puts uploads, in the place of the webhook of the function app. Empty: the webhook.')
param uploadsQueue string = ''

// ---- HTTP API and page ------------------------------------------------------------------------------------------------------
@description('Serve the HTTP API and the page.')
param web bool = false
@description('How it knows who asks: entra (App Service authentication) or keys (whoever has the function\'s key may do all).')
@allowed(['entra', 'keys'])
param webAuth string = 'entra'
@description('Client id of the Entra application with the app roles reader, uploader and operator.')
param webEntraClientId string = ''
@description('With restrictInbound: addresses from which the page is reached, as ranges, separated by commas.')
param webAddresses string = ''

// ---- keeping ----------------------------------------------------------------------------------------------------------------
@description('Days after which archived uploads (processed, error) are deleted. 0: never.')
param retentionDays int = 30
@description('Days in which a deleted or overwritten blob can be brought back.')
@minValue(1)
@maxValue(365)
param softDeleteDays int = 7
@description('Copies in several zones of the region.')
param zoneRedundant bool = false
@description('Copies in a second region (storage).')
param geoRedundant bool = false

// ---- closing ----------------------------------------------------------------------------------------------------------------
@description('Allow account keys on the account with the videos, for mounts that know nothing else. The program never uses them.')
param useStorageKeys bool = false
@description('Private endpoints for storage, own network for function app and job, outbound traffic to Azure services only.')
param privateNetworking bool = false
@description('Address space of that network; /21 or larger.')
param addressSpace string = '10.90.0.0/16'
@description('With private networking: public addresses that may reach the account with the videos, as ranges, separated by commas.')
param allowedIpRanges string = ''
@description('Accept requests to the function app from Event Grid only.')
param restrictInbound bool = false
@description('Basic, Standard or Premium (zone redundancy of the registry).')
@allowed(['Basic', 'Standard', 'Premium'])
param registrySku string = 'Basic'

// ---- naming -----------------------------------------------------------------------------------------------------------------
@description('In the place of the environment name within all names.')
param namePrefix string = ''
param resourceGroupName string = ''
param storageAccountName string = ''
param functionStorageAccountName string = ''
param registryName string = ''
param functionAppName string = ''
param jobName string = ''
param fallbackJobName string = ''
param containerAppsEnvironmentName string = ''
param logAnalyticsName string = ''

// ---- existing resources -----------------------------------------------------------------------------------------------------
@description('Deploy into this group instead of making one.')
param existingResourceGroupName string = ''
@description('Where the reused resources are; default: the group deployed into.')
param existingResourcesGroupName string = ''
param existingRegistryName string = ''
param existingStorageAccountName string = ''
@description('Region of the reused storage account, where it is another one: events are raised there.')
param existingStorageLocation string = ''
param existingContainerAppsEnvironmentName string = ''
param existingLogAnalyticsName string = ''
@description('System topic that the reused storage account has already (one per account). It must have a system-assigned identity.')
param existingEventGridTopicName string = ''

// ---- telling ----------------------------------------------------------------------------------------------------------------
@description('Who gets the alerts. Empty: they show in the portal only.')
param alertEmail string = ''
@description('Seconds that finished uploads may wait until an alert is raised.')
param alertOldestSeconds int = 3600

var stem = empty(namePrefix) ? environmentName : namePrefix
var token = toLower(uniqueString(subscription().id, environmentName, location))
// Every name is made of these three. azd allows dots and parentheses in the name of an environment, NAME_PREFIX anything: what
// no service takes is left out. A stem of letters, digits, - and _ gives the names that it always gave (tests/infra/templates/test_names.py).
var alphabet = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_'
var kept = join(filter(map(range(0, length(stem)), at => substring(stem, at, 1)), one => contains(alphabet, one)), '')
var label = empty(kept) ? 'env' : take(replace(kept, '_', '-'), 30)
var short = take(toLower(replace(replace(kept, '-', ''), '_', '')), 8)
var tags = { 'azd-env-name': environmentName }

// Groups take what azd takes, but for a dot at the end.
var inGroup = join(filter(map(range(0, length(stem)), at => substring(stem, at, 1)), one => contains('${alphabet}.()', one)), '')
var defaultGroupName = inGroup == stem && !endsWith(stem, '.') && length(stem) < 88 ? 'rg-${stem}' : 'rg-${label}-${token}'
var newGroupName = empty(resourceGroupName) ? defaultGroupName : resourceGroupName
var groupName = empty(existingResourceGroupName) ? newGroupName : existingResourceGroupName
var reusedGroupName = empty(existingResourcesGroupName) ? groupName : existingResourcesGroupName

var newAccountName = empty(storageAccountName) ? 'st${short}${token}' : storageAccountName
var accountName = empty(existingStorageAccountName) ? newAccountName : existingStorageAccountName
var accountGroupName = empty(existingStorageAccountName) ? groupName : reusedGroupName
var hostAccountName = empty(functionStorageAccountName) ? 'fn${short}${token}' : functionStorageAccountName
var newRegistryName = empty(registryName) ? 'cr${short}${token}' : registryName
var acrName = empty(existingRegistryName) ? newRegistryName : existingRegistryName
var acrGroupName = empty(existingRegistryName) ? groupName : reusedGroupName
var appName = empty(functionAppName) ? 'func-${label}-${token}' : functionAppName
var shortOfJob = empty(short) ? 'env' : short // two hyphens in a row are refused
var runnerJobName = empty(jobName) ? 'job-${shortOfJob}-${token}' : jobName
// The second job: its names change with its region, for a job cannot move.
var hasFallback = useGpu && !empty(gpuProfileFallback)
var fallbackOnGpu = gpuProfileFallback != 'Consumption'
var fallbackElsewhere = hasFallback && !empty(gpuProfileFallbackLocation)
var fallbackToken = toLower(uniqueString(subscription().id, environmentName, location, gpuProfileFallbackLocation))
var secondJobName = empty(fallbackJobName) ? 'fallback-${shortOfJob}-${fallbackToken}' : fallbackJobName
var environmentOfFallbackName = 'cae-fallback-${toLower(label)}-${fallbackToken}'
var fallbackSizedSettings = fallbackOnGpu ? {} : { PRESET: 'laptop' } // the one that fits the memory of Consumption
var environmentOfJobsName = empty(containerAppsEnvironmentName) ? 'cae-${toLower(label)}-${token}' : containerAppsEnvironmentName
var usedEnvironmentName = empty(existingContainerAppsEnvironmentName) ? environmentOfJobsName : existingContainerAppsEnvironmentName
var usedEnvironmentGroupName = empty(existingContainerAppsEnvironmentName) ? groupName : reusedGroupName
var gpus = useGpu ? [{ name: gpuProfileName, workloadProfileType: gpuProfileType }] : []
var fallbackGpus = hasFallback && fallbackOnGpu ? [{ name: gpuProfileFallbackName, workloadProfileType: gpuProfileFallback }] : []
var newWorkspaceName = empty(logAnalyticsName) ? 'log-${label}-${token}' : logAnalyticsName
var workspaceName = empty(existingLogAnalyticsName) ? newWorkspaceName : existingLogAnalyticsName
var workspaceGroupName = empty(existingLogAnalyticsName) ? groupName : reusedGroupName
var networkName = 'vnet-${label}-${token}'
var newTopicName = 'evgt-${label}-${token}'
var topicName = empty(existingEventGridTopicName) ? newTopicName : existingEventGridTopicName
var topicGroupName = empty(existingEventGridTopicName) ? groupName : reusedGroupName
// Of the diagnostic settings: a reused account may have those of other environments.
var keptOfEnvironment = join(filter(map(range(0, length(environmentName)), at => substring(environmentName, at, 1)), one => contains(alphabet, one)), '')
var logName = keptOfEnvironment == environmentName ? 'video-splat-${environmentName}' : 'video-splat-${token}'

var deadLetterContainer = 'eventgrid-deadletter'
var deploymentContainer = 'deployment'
// The Functions host puts uploads it gave up on into this queue of the watched account.
var uploadPoisonQueue = 'webjobs-blobtrigger-poison'
var queues = [debounceQueue, '${debounceQueue}-poison', jobsQueue, '${jobsQueue}-poison']
var redundancy = geoRedundant ? (zoneRedundant ? 'Standard_GZRS' : 'Standard_GRS') : (zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS')
var hostRedundancy = zoneRedundant ? 'Standard_ZRS' : 'Standard_LRS'
var webRanges = empty(webAddresses) ? [] : split(replace(webAddresses, ' ', ''), ',')
// The page is served by the function app itself, and sends files to the account with the videos.
var webOrigin = 'https://${appName}.azurewebsites.net'
var ipRanges = empty(allowedIpRanges) ? [] : split(replace(allowedIpRanges, ' ', ''), ',')

resource newGroup 'Microsoft.Resources/resourceGroups@2024-03-01' = if (empty(existingResourceGroupName)) {
  name: newGroupName
  location: location
  tags: tags
}

// Whether they are made here or reused: their ids.
resource videos 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: accountName
  scope: resourceGroup(accountGroupName)
}

resource host 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: hostAccountName
  scope: resourceGroup(groupName)
}

resource environmentFound 'Microsoft.App/managedEnvironments@2024-03-01' existing = {
  name: usedEnvironmentName
  scope: resourceGroup(usedEnvironmentGroupName)
}

resource fallbackEnvironmentFound 'Microsoft.App/managedEnvironments@2024-03-01' existing = {
  name: fallbackElsewhere ? environmentOfFallbackName : usedEnvironmentName
  scope: resourceGroup(fallbackElsewhere ? groupName : usedEnvironmentGroupName)
}

resource networkFound 'Microsoft.Network/virtualNetworks@2023-11-01' existing = {
  name: networkName
  scope: resourceGroup(groupName)
}

resource jobsSubnet 'Microsoft.Network/virtualNetworks/subnets@2023-11-01' existing = {
  parent: networkFound
  name: 'jobs'
}

resource functionsSubnet 'Microsoft.Network/virtualNetworks/subnets@2023-11-01' existing = {
  parent: networkFound
  name: 'functions'
}

resource endpointsSubnet 'Microsoft.Network/virtualNetworks/subnets@2023-11-01' existing = {
  parent: networkFound
  name: 'endpoints'
}

module identities 'modules/identities.bicep' = {
  name: 'identities-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    runnerName: 'id-runner-${label}-${token}'
    dispatcherName: 'id-dispatcher-${label}-${token}'
    webName: web ? 'id-web-${label}-${token}' : ''
  }
}

module workspace 'modules/workspace.bicep' = if (empty(existingLogAnalyticsName)) {
  name: 'workspace-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    name: newWorkspaceName
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup, workspace]
  params: {
    location: location
    tags: tags
    workspaceName: workspaceName
    workspaceGroupName: workspaceGroupName
    insightsName: 'appi-${label}-${token}'
  }
}

module registry 'modules/registry.bicep' = if (empty(existingRegistryName)) {
  name: 'registry-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    name: newRegistryName
    sku: registrySku
    zoneRedundant: zoneRedundant
  }
}

module network 'modules/network.bicep' = if (privateNetworking) {
  name: 'network-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    name: networkName
    addressSpace: addressSpace
  }
}

// The account with the videos; another one belongs to the Functions host, whose wide rights must not reach the videos.
module account 'modules/account.bicep' = if (empty(existingStorageAccountName)) {
  name: 'account-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    name: newAccountName
    sku: redundancy
    allowSharedKeyAccess: useStorageKeys
    closed: privateNetworking
    allowedIpRanges: ipRanges
    softDeleteDays: softDeleteDays
    pageOrigins: web ? [webOrigin] : []
  }
}

module lifecycle 'modules/lifecycle.bicep' = if (empty(existingStorageAccountName)) {
  name: 'lifecycle-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [account]
  params: {
    accountName: newAccountName
    retentionDays: retentionDays
    archives: [processedContainer, errorContainer]
    deadLetterContainer: deadLetterContainer
  }
}

module containers 'modules/containers.bicep' = {
  name: 'containers-${token}'
  scope: resourceGroup(accountGroupName)
  dependsOn: [account]
  params: {
    accountName: accountName
    containers: [inputContainer, outputContainer, processedContainer, errorContainer, stateContainer, deadLetterContainer]
    queues: concat(queues, empty(uploadsQueue) ? [uploadPoisonQueue] : [uploadsQueue, '${uploadsQueue}-poison'])
    logName: logName
    workspaceId: monitoring.outputs.workspaceId
  }
}

module hostAccount 'modules/account.bicep' = {
  name: 'host-account-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    name: hostAccountName
    sku: hostRedundancy
    allowSharedKeyAccess: false
    closed: privateNetworking
    allowedIpRanges: []
    softDeleteDays: softDeleteDays
    pageOrigins: []
  }
}

module hostContainers 'modules/containers.bicep' = {
  name: 'host-containers-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [hostAccount]
  params: {
    accountName: hostAccountName
    containers: [deploymentContainer]
    queues: []
    logName: logName
    workspaceId: monitoring.outputs.workspaceId
  }
}

module accountEndpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  name: 'account-endpoints-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [account, network]
  params: {
    location: location
    tags: tags
    accountId: videos.id
    accountName: accountName
    subnetId: endpointsSubnet.id
    services: ['blob', 'queue']
  }
}

module hostEndpoints 'modules/private-endpoints.bicep' = if (privateNetworking) {
  name: 'host-endpoints-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [hostAccount, network]
  params: {
    location: location
    tags: tags
    accountId: host.id
    accountName: hostAccountName
    subnetId: endpointsSubnet.id
    services: ['blob', 'queue', 'table']
  }
}

module environmentOfJobs 'modules/environment.bicep' = if (empty(existingContainerAppsEnvironmentName)) {
  name: 'environment-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup, network]
  params: {
    location: location
    tags: tags
    name: environmentOfJobsName
    workspaceId: monitoring.outputs.workspaceId
    gpuProfiles: concat(gpus, fallbackElsewhere ? [] : fallbackGpus)
    subnetId: privateNetworking ? jobsSubnet.id : ''
    zoneRedundant: zoneRedundant
  }
}

// For a second job in another region. Not within the own network, which is in one region (preprovision.sh refuses both at once).
module environmentOfFallback 'modules/environment.bicep' = if (fallbackElsewhere) {
  name: 'environment-of-fallback-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: gpuProfileFallbackLocation
    tags: tags
    name: environmentOfFallbackName
    workspaceId: monitoring.outputs.workspaceId
    gpuProfiles: fallbackGpus
    subnetId: ''
    zoneRedundant: false
  }
}

module topic 'modules/topic.bicep' = if (empty(existingEventGridTopicName)) {
  name: 'topic-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup, account]
  params: {
    location: empty(existingStorageLocation) ? location : existingStorageLocation
    tags: tags
    name: newTopicName
    accountId: videos.id
  }
}

module events 'modules/events.bicep' = {
  name: 'events-${token}'
  scope: resourceGroup(topicGroupName)
  dependsOn: [topic]
  params: { name: topicName }
}

// Before job and function app, which start with these roles or not at all: 403 at the first pull, the first key, the first timer.
module roles 'roles.bicep' = if (includeRbac) {
  name: 'roles-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [containers, hostContainers, registry]
  params: {
    runnerPrincipalId: identities.outputs.runnerPrincipalId
    dispatcherPrincipalId: identities.outputs.dispatcherPrincipalId
    webPrincipalId: identities.outputs.webPrincipalId
    eventsPrincipalId: events.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    operatorsPrincipalId: operatorsPrincipalId
    operatorsPrincipalType: operatorsPrincipalType
    registryName: acrName
    registryGroupName: acrGroupName
    storageAccountName: accountName
    storageAccountGroupName: accountGroupName
    functionStorageAccountName: hostAccountName
    applicationInsightsName: monitoring.outputs.insightsName
    inputContainer: inputContainer
    outputContainer: outputContainer
    processedContainer: processedContainer
    errorContainer: errorContainer
    stateContainer: stateContainer
    deadLetterContainer: deadLetterContainer
    debounceQueue: debounceQueue
    jobsQueue: jobsQueue
    uploadsQueue: uploadsQueue
    uploadPoisonQueue: uploadPoisonQueue
  }
}

module job 'modules/job.bicep' = {
  name: 'job-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup, registry, environmentOfJobs, roles]
  params: {
    location: location
    tags: union(tags, { 'azd-service-name': 'runner' })
    name: runnerJobName
    environmentId: environmentFound.id
    useGpu: useGpu
    gpuProfileName: gpuProfileName
    gpuProfileType: gpuProfileType
    gpuProfileSizes: gpuProfileSizes
    image: runnerImage
    registryServer: '${acrName}${environment().suffixes.acrLoginServer}'
    identityId: identities.outputs.runnerId
    identityClientId: identities.outputs.runnerClientId
    replicaTimeout: replicaTimeout
    backend: useGpu || processorBackend != 'gsplat' ? processorBackend : 'cpu'
    accountName: accountName
    inputContainer: inputContainer
    outputContainer: outputContainer
    processedContainer: processedContainer
    errorContainer: errorContainer
    stateContainer: stateContainer
    debounceQueue: debounceQueue
    jobsQueue: jobsQueue
    scenePrefixDepth: scenePrefixDepth
    maxGpuMinutesPerDay: maxGpuMinutesPerDay
    moreSettings: runnerSettings
  }
}

// The same image, identity, queue and data; azd knows the first job alone, and postdeploy.sh gives this one its image.
module fallbackJob 'modules/job.bicep' = if (hasFallback) {
  name: 'fallback-job-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup, registry, environmentOfJobs, environmentOfFallback, roles]
  params: {
    location: fallbackElsewhere ? gpuProfileFallbackLocation : location
    tags: tags
    name: secondJobName
    environmentId: fallbackEnvironmentFound.id
    useGpu: fallbackOnGpu
    gpuProfileName: gpuProfileFallbackName
    gpuProfileType: gpuProfileFallback
    gpuProfileSizes: gpuProfileSizes
    image: runnerImage
    registryServer: '${acrName}${environment().suffixes.acrLoginServer}'
    identityId: identities.outputs.runnerId
    identityClientId: identities.outputs.runnerClientId
    replicaTimeout: replicaTimeout
    backend: fallbackOnGpu || processorBackend != 'gsplat' ? processorBackend : 'cpu'
    accountName: accountName
    inputContainer: inputContainer
    outputContainer: outputContainer
    processedContainer: processedContainer
    errorContainer: errorContainer
    stateContainer: stateContainer
    debounceQueue: debounceQueue
    jobsQueue: jobsQueue
    scenePrefixDepth: scenePrefixDepth
    maxGpuMinutesPerDay: maxGpuMinutesPerDay
    moreSettings: union(runnerSettings, fallbackSizedSettings, fallbackSettings, { IS_FALLBACK_JOB: 'true' })
  }
}

module jobRoles 'modules/job-roles.bicep' = if (includeRbac) {
  name: 'job-roles-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [job]
  params: {
    jobName: runnerJobName
    dispatcherPrincipalId: identities.outputs.dispatcherPrincipalId
    operatorsPrincipalId: operatorsPrincipalId
    operatorsPrincipalType: operatorsPrincipalType
  }
}

module fallbackJobRoles 'modules/job-roles.bicep' = if (includeRbac && hasFallback) {
  name: 'fallback-job-roles-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [fallbackJob]
  params: {
    jobName: secondJobName
    dispatcherPrincipalId: identities.outputs.dispatcherPrincipalId
    operatorsPrincipalId: operatorsPrincipalId
    operatorsPrincipalType: operatorsPrincipalType
  }
}

module functionApp 'modules/function-app.bicep' = {
  name: 'function-app-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [hostContainers, hostEndpoints, network, roles]
  params: {
    location: location
    tags: union(tags, { 'azd-service-name': 'dispatcher' })
    name: appName
    planName: 'plan-${label}-${token}'
    pythonVersion: pythonVersion
    alwaysReadyInstances: alwaysReadyInstances
    zoneRedundant: zoneRedundant
    subnetId: privateNetworking ? functionsSubnet.id : ''
    restrictInbound: restrictInbound
    identityId: identities.outputs.dispatcherId
    identityClientId: identities.outputs.dispatcherClientId
    hostAccountName: hostAccountName
    deploymentContainer: deploymentContainer
    insightsConnectionString: monitoring.outputs.insightsConnectionString
    accountName: accountName
    inputContainer: inputContainer
    outputContainer: outputContainer
    processedContainer: processedContainer
    errorContainer: errorContainer
    stateContainer: stateContainer
    debounceQueue: debounceQueue
    jobsQueue: jobsQueue
    uploadsQueue: uploadsQueue
    quietSeconds: quietSeconds
    scenePrefixDepth: scenePrefixDepth
    maxParallelJobs: maxParallelJobs
    maxGpuMinutesPerDay: maxGpuMinutesPerDay
    sweepSchedule: sweepSchedule
    jobName: runnerJobName
    fallbackJobName: hasFallback ? secondJobName : ''
    webAuth: web ? webAuth : ''
    webIdentityId: identities.outputs.webId
    webIdentityClientId: identities.outputs.webClientId
    webEntraClientId: webEntraClientId
    webAddresses: web ? webRanges : []
    moreSettings: dispatcherSettings
  }
}

module alerts 'modules/alerts.bicep' = {
  name: 'alerts-${token}'
  scope: resourceGroup(groupName)
  dependsOn: [newGroup]
  params: {
    location: location
    tags: tags
    stem: label
    workspaceId: monitoring.outputs.workspaceId
    systemTopicId: events.outputs.id
    email: alertEmail
    oldestSeconds: alertOldestSeconds
  }
}

// What azd, the hooks and the scripts read: azd keeps each under its name in the environment, and azd down deletes it there. So no
// output has the name of a variable that somebody sets: DEPLOYED_X is what became of X.
output AZURE_RESOURCE_GROUP string = groupName
output AZURE_STORAGE_ACCOUNT_NAME string = accountName
// What azd down must not delete; kept here because the variables may have been changed since.
output REUSED_RESOURCES string = '${existingResourceGroupName} ${existingResourcesGroupName} ${existingRegistryName} ${existingStorageAccountName} ${existingContainerAppsEnvironmentName} ${existingLogAnalyticsName} ${existingEventGridTopicName}'
output STORAGE_RESOURCE_GROUP string = accountGroupName
output FUNCTION_STORAGE_ACCOUNT_NAME string = hostAccountName
output AZURE_CONTAINER_REGISTRY_NAME string = acrName
output AZURE_CONTAINER_REGISTRY_ENDPOINT string = '${acrName}${environment().suffixes.acrLoginServer}'
output REGISTRY_RESOURCE_GROUP string = acrGroupName
output FUNCTION_APP_NAME string = appName
output RUNNER_JOB_NAME string = runnerJobName
output RUNNER_FALLBACK_JOB_NAME string = hasFallback ? secondJobName : ''
output APPLICATION_INSIGHTS_NAME string = monitoring.outputs.insightsName
output LOG_ANALYTICS_WORKSPACE_ID string = monitoring.outputs.workspaceCustomerId
output MANAGED_IDENTITY_PRINCIPAL_ID string = identities.outputs.runnerPrincipalId
output DISPATCHER_PRINCIPAL_ID string = identities.outputs.dispatcherPrincipalId
output WEB_PRINCIPAL_ID string = identities.outputs.webPrincipalId
output WEB_PAGE string = web ? '${webOrigin}/api/ui' : ''
output EVENT_GRID_TOPIC_NAME string = events.outputs.name
output EVENT_GRID_TOPIC_RESOURCE_GROUP string = events.outputs.groupName
output EVENT_GRID_PRINCIPAL_ID string = events.outputs.principalId
output EVENT_GRID_SUBSCRIPTION_NAME string = 'uploads-${label}-${token}' // a reused topic may have other ones of ours
output EVENT_GRID_DEADLETTER_CONTAINER string = deadLetterContainer
output DEPLOYED_AZURE_BLOB_CONTAINER_INPUT string = inputContainer
output DEPLOYED_AZURE_BLOB_CONTAINER_OUTPUT string = outputContainer
output DEPLOYED_AZURE_BLOB_CONTAINER_PROCESSED string = processedContainer
output DEPLOYED_AZURE_BLOB_CONTAINER_ERROR string = errorContainer
output DEPLOYED_AZURE_BLOB_CONTAINER_STATE string = stateContainer
output DEPLOYED_DEBOUNCE_QUEUE string = debounceQueue
output DEPLOYED_JOBS_QUEUE string = jobsQueue
output DEPLOYED_UPLOADS_QUEUE string = uploadsQueue
