// Who may do what: the only place that assigns roles. The table is scripts/roles.tsv in Bicep; tests/infra compares both with
// each other and with the table of docs/SECURITY.md. Deployed by main.bicep (includeRbac), before job and function app, or by
// scripts/assign-rbac.sh --use-bicep.
param runnerPrincipalId string
param dispatcherPrincipalId string
@description('Of the system topic: it keeps events that could not be delivered.')
param eventsPrincipalId string
@description('Of the HTTP API. Empty: there is none.')
param webPrincipalId string = ''
@description('Empty: the deployer gets nothing.')
param deployerPrincipalId string = ''
param deployerPrincipalType string = 'User'
@description('People who audit, redrive, cancel and delete, as a group or one of them. Empty: nobody has these rights.')
param operatorsPrincipalId string = ''
param operatorsPrincipalType string = 'Group'
param registryName string
param registryGroupName string = resourceGroup().name
param storageAccountName string
param storageAccountGroupName string = resourceGroup().name
param functionStorageAccountName string
param applicationInsightsName string
@description('Empty: the job is not made yet; its roles follow (modules/job-roles.bicep).')
param jobName string = ''
@description('Empty: there is no second job, or it is not made yet.')
param fallbackJobName string = ''
param inputContainer string = 'input'
param outputContainer string = 'output'
param processedContainer string = 'processed'
param errorContainer string = 'error'
param stateContainer string = 'state'
param deadLetterContainer string = 'eventgrid-deadletter'
param debounceQueue string = 'debounce'
param jobsQueue string = 'jobs'
@description('Empty: Event Grid calls the function app.')
param uploadsQueue string = ''
param uploadPoisonQueue string = 'webjobs-blobtrigger-poison'

var roleIds = {
  AcrPull: '7f951dda-4ed3-4680-a7ca-43fe172d538d'
  AcrPush: '8311e382-0749-4cb8-b61a-304f252e45ec'
  'Storage Blob Data Owner': 'b7e6dc6d-f1e8-4753-8033-0f276bb0955b'
  'Storage Blob Data Contributor': 'ba92f5b4-2d11-453d-a403-e96b0029c9fe'
  'Storage Blob Data Reader': '2a2b9908-6ea1-4ae2-8e65-a410df84e7d1'
  'Storage Blob Delegator': 'db58b8e5-c6ad-4a2a-8342-4190687cbf4a'
  'Storage Queue Data Contributor': '974c5e8b-45b9-4653-ba55-5f855dd0fb88'
  'Storage Queue Data Message Sender': 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'
  'Storage Queue Data Reader': '19e7f393-937e-4f77-808e-94535e297925'
  'Storage Table Data Contributor': '0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3'
  'Monitoring Metrics Publisher': '3913510d-42f4-4e42-8a64-420c390055eb'
}
var runner = { id: runnerPrincipalId, type: 'ServicePrincipal' }
var dispatcher = { id: dispatcherPrincipalId, type: 'ServicePrincipal' }
var web = { id: webPrincipalId, type: 'ServicePrincipal' }
var events = { id: eventsPrincipalId, type: 'ServicePrincipal' }
var deployer = { id: deployerPrincipalId, type: deployerPrincipalType }
var operators = { id: operatorsPrincipalId, type: operatorsPrincipalType }
var known = !empty(deployerPrincipalId)
var served = !empty(webPrincipalId)
var operated = !empty(operatorsPrincipalId)

var onContainers = [
  { who: runner, where: inputContainer, role: 'Storage Blob Data Contributor' }
  { who: runner, where: outputContainer, role: 'Storage Blob Data Contributor' }
  { who: runner, where: processedContainer, role: 'Storage Blob Data Contributor' }
  { who: runner, where: errorContainer, role: 'Storage Blob Data Contributor' }
  { who: runner, where: stateContainer, role: 'Storage Blob Data Contributor' }
  { who: dispatcher, where: inputContainer, role: 'Storage Blob Data Contributor' }
  { who: dispatcher, where: processedContainer, role: 'Storage Blob Data Contributor' }
  { who: dispatcher, where: errorContainer, role: 'Storage Blob Data Reader' }
  { who: dispatcher, where: stateContainer, role: 'Storage Blob Data Contributor' }
  { who: events, where: deadLetterContainer, role: 'Storage Blob Data Contributor' }
]
var deployerOnContainers = [
  { who: deployer, where: inputContainer, role: 'Storage Blob Data Contributor' }
  { who: deployer, where: outputContainer, role: 'Storage Blob Data Reader' }
  { who: deployer, where: errorContainer, role: 'Storage Blob Data Reader' }
  { who: deployer, where: stateContainer, role: 'Storage Blob Data Reader' }
]
var operatorsOnContainers = [
  { who: operators, where: inputContainer, role: 'Storage Blob Data Contributor' }
  { who: operators, where: outputContainer, role: 'Storage Blob Data Contributor' }
  { who: operators, where: processedContainer, role: 'Storage Blob Data Contributor' }
  { who: operators, where: errorContainer, role: 'Storage Blob Data Contributor' }
  { who: operators, where: stateContainer, role: 'Storage Blob Data Contributor' }
  { who: operators, where: deadLetterContainer, role: 'Storage Blob Data Contributor' }
]
// It signs links, which allow no more than it may itself.
var webOnContainers = [
  { who: web, where: inputContainer, role: 'Storage Blob Data Contributor' }
  { who: web, where: outputContainer, role: 'Storage Blob Data Contributor' }
  { who: web, where: processedContainer, role: 'Storage Blob Data Reader' }
  { who: web, where: errorContainer, role: 'Storage Blob Data Contributor' }
  { who: web, where: stateContainer, role: 'Storage Blob Data Contributor' }
]
var webOnQueues = [
  { who: web, where: debounceQueue, role: 'Storage Queue Data Message Sender' }
]
var webOnAccount = [
  { who: web, role: 'Storage Blob Delegator' }
]
var onQueues = [
  { who: runner, where: jobsQueue, role: 'Storage Queue Data Contributor' }
  { who: runner, where: '${jobsQueue}-poison', role: 'Storage Queue Data Reader' }
  { who: runner, where: '${jobsQueue}-poison', role: 'Storage Queue Data Message Sender' }
  { who: runner, where: debounceQueue, role: 'Storage Queue Data Reader' }
  { who: runner, where: debounceQueue, role: 'Storage Queue Data Message Sender' }
  { who: dispatcher, where: debounceQueue, role: 'Storage Queue Data Contributor' }
  { who: dispatcher, where: '${debounceQueue}-poison', role: 'Storage Queue Data Contributor' }
  { who: dispatcher, where: jobsQueue, role: 'Storage Queue Data Reader' }
  { who: dispatcher, where: jobsQueue, role: 'Storage Queue Data Message Sender' }
]
// Who tells the dispatcher of uploads: the Functions host, by way of its own queue, or Event Grid.
var uploadsByWebhook = [
  { who: dispatcher, where: uploadPoisonQueue, role: 'Storage Queue Data Contributor' }
]
var uploadsByQueue = [
  { who: events, where: uploadsQueue, role: 'Storage Queue Data Message Sender' }
  { who: dispatcher, where: uploadsQueue, role: 'Storage Queue Data Contributor' }
  { who: dispatcher, where: '${uploadsQueue}-poison', role: 'Storage Queue Data Contributor' }
]
var deployerOnQueues = [
  { who: deployer, where: jobsQueue, role: 'Storage Queue Data Message Sender' }
]
var operatorsOnQueues = [
  { who: operators, where: debounceQueue, role: 'Storage Queue Data Contributor' }
  { who: operators, where: '${debounceQueue}-poison', role: 'Storage Queue Data Contributor' }
  { who: operators, where: jobsQueue, role: 'Storage Queue Data Contributor' }
  { who: operators, where: '${jobsQueue}-poison', role: 'Storage Queue Data Contributor' }
]
var operatorsOnUploadsByWebhook = [
  { who: operators, where: uploadPoisonQueue, role: 'Storage Queue Data Contributor' }
]
var operatorsOnUploadsByQueue = [
  { who: operators, where: uploadsQueue, role: 'Storage Queue Data Contributor' }
  { who: operators, where: '${uploadsQueue}-poison', role: 'Storage Queue Data Contributor' }
]
var operatorsOnAllQueues = concat(operatorsOnQueues, empty(uploadsQueue) ? operatorsOnUploadsByWebhook : operatorsOnUploadsByQueue)
var onRegistry = [
  { who: runner, role: 'AcrPull' }
]
var deployerOnRegistry = [
  { who: deployer, role: 'AcrPush' }
]
var onHost = ['Storage Blob Data Owner', 'Storage Queue Data Contributor', 'Storage Table Data Contributor']

module storage 'modules/storage-roles.bicep' = {
  name: 'storage-roles-${uniqueString(runnerPrincipalId)}'
  scope: resourceGroup(storageAccountGroupName)
  params: {
    accountName: storageAccountName
    onContainers: concat(onContainers, served ? webOnContainers : [], known ? deployerOnContainers : [], operated ? operatorsOnContainers : [])
    onQueues: concat(onQueues, empty(uploadsQueue) ? uploadsByWebhook : uploadsByQueue, served ? webOnQueues : [], known ? deployerOnQueues : [], operated ? operatorsOnAllQueues : [])
    onAccount: served ? webOnAccount : []
    roleIds: roleIds
  }
}

module registry 'modules/registry-roles.bicep' = {
  name: 'registry-roles-${uniqueString(runnerPrincipalId)}'
  scope: resourceGroup(registryGroupName)
  params: {
    registryName: registryName
    assignments: concat(onRegistry, known ? deployerOnRegistry : [])
    roleIds: roleIds
  }
}

resource host 'Microsoft.Storage/storageAccounts@2023-05-01' existing = {
  name: functionStorageAccountName
}

resource hostRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for role in onHost: {
  name: guid(host.id, dispatcherPrincipalId, roleIds[role])
  scope: host
  properties: {
    principalId: dispatcherPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds[role])
  }
}]

module onJob 'modules/job-roles.bicep' = if (!empty(jobName)) {
  name: 'job-roles-${uniqueString(runnerPrincipalId)}'
  params: {
    jobName: jobName
    dispatcherPrincipalId: dispatcherPrincipalId
    operatorsPrincipalId: operatorsPrincipalId
    operatorsPrincipalType: operatorsPrincipalType
  }
}

module onFallbackJob 'modules/job-roles.bicep' = if (!empty(fallbackJobName)) {
  name: 'fallback-job-roles-${uniqueString(runnerPrincipalId)}'
  params: {
    jobName: fallbackJobName
    dispatcherPrincipalId: dispatcherPrincipalId
    operatorsPrincipalId: operatorsPrincipalId
    operatorsPrincipalType: operatorsPrincipalType
  }
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: applicationInsightsName
}

resource insightsRole 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  name: guid(insights.id, dispatcherPrincipalId, roleIds['Monitoring Metrics Publisher'])
  scope: insights
  properties: {
    principalId: dispatcherPrincipalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', roleIds['Monitoring Metrics Publisher'])
  }
}
