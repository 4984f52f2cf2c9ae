// The dispatcher on Flex Consumption. Every connection is an identity; there is no key, and no HTTP trigger but that of the API (webAuth).
param location string
param tags object
param name string
param planName string
param pythonVersion string
param alwaysReadyInstances int
param zoneRedundant bool
@description('Empty: the platform\'s network.')
param subnetId string
param restrictInbound bool
param identityId string
param identityClientId string
param hostAccountName string
param deploymentContainer string
param insightsConnectionString string
param accountName string
param inputContainer string
param outputContainer string
param processedContainer string
param errorContainer string
param stateContainer string
param debounceQueue string
param jobsQueue string
@description('Empty: uploads come by the blob trigger.')
param uploadsQueue string
param quietSeconds int
param scenePrefixDepth int
param maxParallelJobs int
param maxGpuMinutesPerDay int
param sweepSchedule string
param jobName string
@description('Empty: there is one job.')
param fallbackJobName string
@description('How the HTTP API knows who asks: entra or keys. Empty: there is none.')
param webAuth string
param webIdentityId string
param webIdentityClientId string
@description('The Entra application that people and programs sign in to, with webAuth entra.')
param webEntraClientId string
@description('With restrictInbound: addresses that reach the page.')
param webAddresses array
param moreSettings object

var storageSuffix = environment().suffixes.storage
var manager = split(environment().resourceManager, '/')[2] // https://HOST/

var settings = {
  // the Functions host
  AzureWebJobsStorage__blobServiceUri: 'https://${hostAccountName}.blob.${storageSuffix}'
  AzureWebJobsStorage__queueServiceUri: 'https://${hostAccountName}.queue.${storageSuffix}'
  AzureWebJobsStorage__tableServiceUri: 'https://${hostAccountName}.table.${storageSuffix}'
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identityClientId
  SceneStorage__blobServiceUri: 'https://${accountName}.blob.${storageSuffix}'
  SceneStorage__queueServiceUri: 'https://${accountName}.queue.${storageSuffix}'
  SceneStorage__credential: 'managedidentity'
  SceneStorage__clientId: identityClientId
  PYTHON_SCRIPT_FILE_NAME: 'functions_entry.py'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insightsConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identityClientId};Authorization=AAD'
  // the dispatcher
  AZURE_STORAGE_ACCOUNT: accountName
  AZURE_STORAGE_ENDPOINT: 'https://${accountName}.blob.${storageSuffix}'
  AZURE_STORAGE_QUEUE_ENDPOINT: 'https://${accountName}.queue.${storageSuffix}'
  AZURE_USE_MANAGED_IDENTITY: 'true'
  AZURE_CLIENT_ID: identityClientId
  AZURE_BLOB_CONTAINER_INPUT: inputContainer
  AZURE_BLOB_CONTAINER_OUTPUT: outputContainer
  AZURE_BLOB_CONTAINER_PROCESSED: processedContainer
  AZURE_BLOB_CONTAINER_ERROR: errorContainer
  AZURE_BLOB_CONTAINER_STATE: stateContainer
  DEBOUNCE_QUEUE: debounceQueue
  JOBS_QUEUE: jobsQueue
  QUIET_SECONDS: string(quietSeconds)
  SCENE_PREFIX_DEPTH: string(scenePrefixDepth)
  MAX_PARALLEL_JOBS: string(maxParallelJobs)
  MAX_GPU_MINUTES_PER_DAY: string(maxGpuMinutesPerDay)
  JOB_DISK_GB: '8.5' // 8 GiB, as users of Container Apps report it; a GPU that cannot hold a scene is not started
  SWEEP_SCHEDULE: sweepSchedule
  AZURE_SUBSCRIPTION_ID: subscription().subscriptionId
  AZURE_RESOURCE_GROUP: resourceGroup().name
  RUNNER_JOB_NAME: jobName
  ARM_ENDPOINT: 'https://${manager}'
}

// How uploads are told (function_app/triggers.py).
var listener = empty(uploadsQueue) ? 'blob' : 'function:on_event'
// Each of these scales by itself: with the listener alone an upload would be noticed at once, and its scene only when an
// instance for the checks has started.
var alwaysReady = [
  { name: listener, instanceCount: alwaysReadyInstances }
  { name: 'function:on_quiet', instanceCount: alwaysReadyInstances }
]
var fallback = empty(fallbackJobName) ? {} : { FALLBACK_JOB_NAME: fallbackJobName }
var events = empty(uploadsQueue) ? { BLOB_TRIGGER_SOURCE: 'EventGrid' } : { UPLOADS_QUEUE: uploadsQueue }

// The API works with an identity of its own; the dispatcher's has none of its rights.
var web = empty(webAuth) ? {} : { WEB: 'true', WEB_AUTH: webAuth, WEB_CLIENT_ID: webIdentityClientId }
var webIdentity = empty(webAuth) ? {} : { '${webIdentityId}': {} }
var fromEventGrid = restrictInbound && empty(uploadsQueue) ? [{ name: 'event-grid', priority: 100, action: 'Allow', tag: 'ServiceTag', ipAddress: 'AzureEventGrid' }] : []
var fromPeople = [for (address, index) in (restrictInbound ? webAddresses : []): { name: 'page-${index}', priority: 200 + index, action: 'Allow', ipAddress: address }]

resource plan 'Microsoft.Web/serverfarms@2023-12-01' = {
  name: planName
  location: location
  tags: { 'azd-env-name': tags['azd-env-name'] }
  kind: 'functionapp'
  sku: { name: 'FC1', tier: 'FlexConsumption' }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2023-12-01' = {
  name: name
  location: location
  tags: tags
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: union({ '${identityId}': {} }, webIdentity)
  }
  properties: {
    serverFarmId: plan.id
    keyVaultReferenceIdentity: identityId // settings may refer to a Key Vault: NOTIFY_SECRET (docs/notices.md)
    httpsOnly: true
    publicNetworkAccess: 'Enabled' // Event Grid calls in
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: 'https://${hostAccountName}.blob.${storageSuffix}/${deploymentContainer}'
          authentication: { type: 'UserAssignedIdentity', userAssignedIdentityResourceId: identityId }
        }
      }
      runtime: { name: 'python', version: pythonVersion }
      scaleAndConcurrency: {
        maximumInstanceCount: 40 // the lowest that is accepted
        instanceMemoryMB: 2048
        alwaysReady: alwaysReadyInstances > 0 ? alwaysReady : []
      }
    }
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      http20Enabled: true
      ipSecurityRestrictionsDefaultAction: restrictInbound ? 'Deny' : 'Allow'
      ipSecurityRestrictions: concat(fromEventGrid, fromPeople)
      scmIpSecurityRestrictionsUseMain: false
    }
  }
}

// One after the other: the site answers 409 while another change of it is under way.
resource appSettings 'Microsoft.Web/sites/config@2023-12-01' = {
  parent: app
  name: 'appsettings'
  properties: union(settings, events, fallback, web, moreSettings)
}

// Nobody publishes with a password. This shuts FTP too: Flex Consumption refuses siteConfig.ftpsState.
resource noPasswordsByFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: app
  name: 'ftp'
  dependsOn: [appSettings]
  properties: { allow: false }
}

resource noPasswordsByScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2023-12-01' = {
  parent: app
  name: 'scm'
  dependsOn: [noPasswordsByFtp]
  properties: { allow: false }
}

// Nobody gets to the API unknown. Event Grid's webhook has its own key and signs in nowhere.
resource signIn 'Microsoft.Web/sites/config@2023-12-01' = if (webAuth == 'entra') {
  parent: app
  name: 'authsettingsV2'
  dependsOn: [noPasswordsByScm]
  properties: {
    platform: { enabled: true }
    globalValidation: {
      requireAuthentication: true
      unauthenticatedClientAction: 'RedirectToLoginPage'
      redirectToProvider: 'azureactivedirectory'
      excludedPaths: ['/runtime/webhooks/blobs']
    }
    identityProviders: {
      azureActiveDirectory: {
        enabled: true
        registration: {
          clientId: webEntraClientId
          openIdIssuer: '${environment().authentication.loginEndpoint}${subscription().tenantId}/v2.0'
        }
        validation: { allowedAudiences: ['api://${webEntraClientId}', webEntraClientId] }
      }
    }
    login: { tokenStore: { enabled: false } }
    httpSettings: { requireHttps: true }
  }
}

output id string = app.id
